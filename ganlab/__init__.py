"""ganlab: a laboratory for generative adversarial networks on PyTorch Lightning.

Importing it is cheap on purpose: command lines answer before torch is loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganlab.core.loading import load as load

__version__ = "0.1.0"

LAZY = {"load": "ganlab.core.loading"}
"""Names of the package, and the modules that have them, which are imported at the first use."""


def __getattr__(name: str) -> Any:
    """Return a name of `LAZY` from its module."""
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(LAZY[name]), name)
