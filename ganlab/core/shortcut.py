"""Steps that bypass Lightning, whose calls around a step take as long as the step of a small network."""

from __future__ import annotations

import os

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.strategies import Strategy

IN_MODULE = ("on_before_backward", "on_after_backward", "backward", "optimizer_step")
HOOKS = ("on_before_backward", "on_after_backward", "on_before_optimizer_step")


def may_step_directly(trainer: pl.Trainer) -> bool:
    """Return whether Lightning does nothing around a backward pass and a step.

    That is so without a loss scale, without a strategy or a precision that has its own backward pass or step, and
    without a callback or a variant that has a hook there.
    """
    precision, strategy = trainer.precision_plugin, trainer.strategy
    plain = getattr(precision, "scaler", None) is None
    own = not _overrides(strategy, Strategy, "backward", "optimizer_step") and not _overrides(
        precision, Precision, "backward", "pre_backward", "post_backward"
    )
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    listeners = any(_overrides(callback, pl.Callback, *HOOKS) for callback in callbacks)
    return plain and own and not listeners and not _overrides(trainer.lightning_module, pl.LightningModule, *IN_MODULE)


def ask_driver_not_nvml() -> None:
    """Let torch ask CUDA's runtime whether there is a GPU, if there is none.

    torch asks before each step of an optimizer. Lightning makes it ask NVML, so that CUDA stays untouched before a
    fork. Without a driver each such question loads a library in vain, which takes as long as the step of a small
    network.
    """
    if not torch.cuda.is_available():
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)


def _overrides(one: object, base: type, *methods: str) -> bool:
    """Return whether the object's class has one of these methods of its own."""
    return any(getattr(type(one), method) is not getattr(base, method) for method in methods)
