"""A callback with which one process of a run ends, or stops answering, in the middle of something."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytorch_lightning as pl


class Dying(pl.Callback):
    """`how`: KILL, STOP, or raise. `when`: in an iteration, or in saving. `after`: at the earliest this iteration.

    Under torchrun it does so once, and lives when it is started again.
    """

    def __init__(self, rank: int, how: str, when: str = "iteration", after: int = 15) -> None:
        self.rank, self.how, self.when, self.after = rank, how, when, after

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        self._die(trainer, "iteration")

    def on_save_checkpoint(self, trainer: pl.Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        self._die(trainer, "saving")

    def _die(self, trainer: pl.Trainer, when: str) -> None:
        if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0":
            return
        if (when, trainer.global_rank) != (self.when, self.rank) or trainer.global_step < self.after:
            return
        if self.how == "raise":
            raise ArithmeticError("two and two are five")
        os.kill(os.getpid(), getattr(signal, f"SIG{self.how}"))
