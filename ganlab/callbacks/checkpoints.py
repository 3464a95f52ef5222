"""Save `checkpoints/last.ckpt` periodically, at the end and on a signal, and `checkpoints/best.ckpt` at each new best.

A run is saved only between two iterations. So a resumed run equals one that never stopped. The checkpoint before the
last remains as `previous.ckpt`. In the trainer's list, this callback must follow those that determine the best.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch

from ganlab.callbacks.measurement import finished, positive
from ganlab.callbacks.quality import Best, BestTracker
from ganlab.callbacks.signals import Signals, is_notice
from ganlab.config.ranges import PositiveInt
from ganlab.console import from_here, say
from ganlab.core.checkpoint_io import save_checkpoint
from ganlab.core.finite import broken_side
from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError
from ganlab.processes import PeerLost

AGREE_EVERY = 10  # iterations between two exchanges of received signals among several processes


class Checkpoints(pl.Callback):
    """Saves the checkpoints of a run.

    every: iterations between two saves of the last checkpoint.
    notice: the answer to SIGUSR1 or SIGHUP, which schedulers send in advance. `stop` saves and ends the run, `save`
    saves and continues.
    stopped_by: number of the signal that ended the run, 0 if none did.
    """

    def __init__(self, every: PositiveInt = 1_000, notice: Literal["stop", "save"] = "stop") -> None:
        self.every, self.notice = positive("every", every), notice
        self.stopped_by = 0
        self._signals = Signals()
        self._training = False
        self._between_iterations = True
        self._saved_at = -1
        self._known: set[Best] = set()  # bests that were saved; after a rollback some are in the future

    @property
    def interrupted(self) -> bool:
        """Return whether a signal ended the run."""
        return self.stopped_by != 0

    def setup(self, trainer: pl.Trainer, module: GenerativeModule, stage: str) -> None:  # type: ignore[override]
        """Raise `UserError` if a callback that determines the best follows this one."""
        late = [type(other).__name__ for other in self._after_this(trainer) if isinstance(other, BestTracker)]
        if late:
            raise UserError(
                f"`callbacks` has {late[0]} after Checkpoints: put it before, so that the best can be saved"
            )

    def _after_this(self, trainer: pl.Trainer) -> list[pl.Callback]:
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        return callbacks[callbacks.index(self) + 1 :]

    def on_train_start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        """Install the signal handlers."""
        self.stopped_by, self._training = 0, True
        self._saved_at = trainer.global_step or -1  # a resumed run is already saved at its start
        self._known = self._bests(trainer)
        self._signals.install()  # after Lightning's handlers, which would end the run with exit code 0

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        """Note that an iteration has begun."""
        self._between_iterations = False

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save the last checkpoint and the best one if they are due, and stop the run on a signal."""
        self._between_iterations = True
        number = self._signal(trainer)
        if number and not (self.notice == "save" and is_notice(number)):
            self.stopped_by, trainer.should_stop = number, True
        if number or trainer.global_step % self.every == 0 or finished(trainer) or trainer.should_stop:
            self._save(trainer)
        bests = self._bests(trainer)
        if any(best.iteration == trainer.global_step for best in bests - self._known):
            save_checkpoint(trainer, "best.ckpt")
        self._known |= bests

    @staticmethod
    def _bests(trainer: pl.Trainer) -> set[Best]:
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        return {
            callback.best for callback in callbacks if isinstance(callback, BestTracker) and callback.best is not None
        }

    def _signal(self, trainer: pl.Trainer) -> int:
        """Return the signal to act on, or 0. It is the same on every process, no matter which of them received it."""
        if trainer.world_size == 1:
            return self._signals.take()
        if trainer.global_step % AGREE_EVERY:
            return 0
        own = torch.tensor(self._signals.take(), device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(own, reduce_op="max"))

    def _save(self, trainer: pl.Trainer) -> None:
        """Save the last checkpoint. Raise `UserError` if weights are not finite and nothing was saved before."""
        if save_checkpoint(trainer, "last.ckpt"):
            self._saved_at = trainer.global_step
        elif self._saved_at < 0:
            raise UserError(
                f"the weights of the {broken_side(trainer.lightning_module)} are not finite at iteration "
                f"{trainer.global_step}, and nothing was saved before: lower the learning rates, "
                "or save earlier with callbacks.checkpoints.every"
            )

    def on_train_end(self, trainer: pl.Trainer, module: Any) -> None:
        """Print how to resume if a signal ended the run."""
        self._training = False
        if self.interrupted and trainer.is_global_zero:
            say(f"ganlab: stopped at iteration {trainer.global_step}, saved; to go on: {how_to_resume(trainer)}")

    def on_exception(self, trainer: pl.Trainer, module: Any, exception: BaseException) -> None:
        """Save the run if it is between two iterations and has one process only."""
        if not self._training:
            return
        self._training = False
        fresh = self._saved_at == trainer.global_step
        if self._between_iterations and not fresh and trainer.world_size == 1 and trainer.global_step > 0:
            with suppress(UserError, OSError):  # the exception itself is reported
                self._save(trainer)
        if trainer.is_global_zero and self._saved_at >= 0 and not isinstance(exception, PeerLost):
            where = f"ended at iteration {trainer.global_step}, saved at {self._saved_at}"
            say(f"ganlab: {where}; to go on: {how_to_resume(trainer)}")

    def teardown(self, trainer: pl.Trainer, module: Any, stage: str) -> None:
        """Remove the signal handlers."""
        self._signals.remove()


def how_to_resume(trainer: pl.Trainer) -> str:
    """Return the command that resumes the run, with a path relative to the current folder."""
    return f"python -m ganlab.fit resume={from_here(Path(trainer.default_root_dir))}"
