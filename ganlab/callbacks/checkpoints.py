"""`checkpoints/last.ckpt` now and then, at the end and on Ctrl-C; `checkpoints/best.ckpt` when a judge says so.

Saved between two iterations only, so that what is resumed is a run that never stopped. Each file replaces the one
before it in one move. It has to come after the judges in the trainer's list of callbacks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from ganlab.callbacks.finite import is_finite
from ganlab.callbacks.interrupt import Interrupt
from ganlab.callbacks.measurement import finished, positive
from ganlab.callbacks.quality import Best, Judge
from ganlab.console import from_here, say
from ganlab.errors import UserError
from ganlab.generative import GenerativeModule
from ganlab.processes import PeerLost
from ganlab.ranges import PositiveInt
from ganlab.run import RunFolder

AGREE_EVERY = 10  # iterations between two exchanges of "did anybody press Ctrl-C" when there are several processes


class Checkpoints(pl.Callback):
    """`every`: iterations between two saves of the last. `interrupted`: whether Ctrl-C ended the run."""

    def __init__(self, every: PositiveInt = 1_000) -> None:
        self.every = positive("every", every)
        self.interrupted = False
        self._interrupt = Interrupt()
        self._between_iterations = True
        self._saved_at = -1
        self._known: set[Best] = set()  # bests that have been saved: of a run that went back, some lie ahead of it

    def setup(self, trainer: pl.Trainer, module: GenerativeModule, stage: str) -> None:  # type: ignore[override]
        late = [type(other).__name__ for other in self._after_this(trainer) if isinstance(other, Judge)]
        if late:
            raise UserError(
                f"`callbacks` has {late[0]} after Checkpoints: put it before, so that the best can be saved"
            )
        self._interrupt.install()

    def _after_this(self, trainer: pl.Trainer) -> list[pl.Callback]:
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        return callbacks[callbacks.index(self) + 1 :]

    def on_train_start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        self.interrupted, self._saved_at = False, -1
        self._known = self._bests(trainer)
        self._interrupt.listening = True

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        self._between_iterations = False

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._between_iterations = True
        if self._asked(trainer):
            self.interrupted = trainer.should_stop = True
        if trainer.global_step % self.every == 0 or finished(trainer) or trainer.should_stop:
            self._save(trainer, "last.ckpt")
        bests = self._bests(trainer)
        if any(best.iteration == trainer.global_step for best in bests - self._known):
            self._save(trainer, "best.ckpt")
        self._known |= bests

    @staticmethod
    def _bests(trainer: pl.Trainer) -> set[Best]:
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        return {callback.best for callback in callbacks if isinstance(callback, Judge) and callback.best is not None}

    def _asked(self, trainer: pl.Trainer) -> bool:
        """Whether to stop here: at the same iteration on every process, whichever of them heard of it."""
        if trainer.world_size == 1:
            return self._interrupt.asked
        if trainer.global_step % AGREE_EVERY:
            return False
        return trainer.strategy.reduce_boolean_decision(self._interrupt.asked, all=False)

    def _save(self, trainer: pl.Trainer, name: str) -> None:
        """Weights that are no numbers any more never replace those that were."""
        if name == "last.ckpt" and self._saved_at >= 0 and not _is_sound(trainer.lightning_module):
            return
        save_checkpoint(trainer, name)
        if name == "last.ckpt":
            self._saved_at = trainer.global_step

    def on_train_end(self, trainer: pl.Trainer, module: Any) -> None:
        self._interrupt.listening = False
        if self.interrupted and trainer.is_global_zero:
            say(f"ganlab: stopped at iteration {trainer.global_step}, saved; to go on: {how_to_resume(trainer)}")

    def on_exception(self, trainer: pl.Trainer, module: Any, exception: BaseException) -> None:
        """Save what there is, if it is whole and no other process has to help."""
        if not self._interrupt.listening:
            return
        self._interrupt.listening = False
        fresh = self._saved_at == trainer.global_step
        if self._between_iterations and not fresh and trainer.world_size == 1 and trainer.global_step > 0:
            self._save(trainer, "last.ckpt")
        if trainer.is_global_zero and self._saved_at >= 0 and not isinstance(exception, PeerLost):
            where = f"ended at iteration {trainer.global_step}, saved at {self._saved_at}"
            say(f"ganlab: {where}; to go on: {how_to_resume(trainer)}")

    def teardown(self, trainer: pl.Trainer, module: Any, stage: str) -> None:
        self._interrupt.remove()


def _is_sound(module: Any) -> bool:
    return all(is_finite(module.player(name)) for name in module.sides)


def save_checkpoint(trainer: pl.Trainer, name: str) -> None:
    """To the run's `checkpoints/name`, in one move. Called on every process: gathering what is saved needs them all."""
    folder = RunFolder(Path(trainer.default_root_dir)).checkpoints
    part = folder / f".{name}.part"
    trainer.save_checkpoint(part, weights_only=False)
    if trainer.is_global_zero:
        part.replace(folder / name)


def how_to_resume(trainer: pl.Trainer) -> str:
    """The command, from where the user is."""
    return f"python -m ganlab.fit resume={from_here(Path(trainer.default_root_dir))}"
