"""ganlab: a laboratory for generative adversarial networks on PyTorch Lightning.

Importing it is cheap on purpose: command lines answer before torch is loaded.
"""

__version__ = "0.1.0"
