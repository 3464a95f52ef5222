"""ganlab: a laboratory for generative adversarial networks on PyTorch Lightning.

Importing it is cheap on purpose: command lines answer before torch is loaded. `GAN` and `load` are imported when they
are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganlab.core.loading import load
    from ganlab.gan import GAN

__version__ = "0.1.0"
__all__ = ["GAN", "__version__", "load"]

LAZY = {"GAN": "ganlab.gan", "load": "ganlab.core.loading"}
"""Names of the package and the modules that define them."""


def _imported(name: str) -> Any:
    """Return a name of `LAZY`, importing its module. Raise `AttributeError` for any other name."""
    if name not in LAZY:
        raise AttributeError(f"module 'ganlab' has no attribute {name!r}")
    return getattr(importlib.import_module(LAZY[name]), name)


__getattr__ = _imported  # not a `def`: `ganlab.config.sources` could then not tell which names do not exist
