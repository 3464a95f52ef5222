"""What callbacks that look at a run have in common: when they look, on which process, what happens if they cannot.

A measurement never changes the run: it works on rank 0 alone, draws from generators of its own, and whatever goes
wrong becomes one line on stderr, said once. It knows a variant only by its public face.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch

from ganlab.console import say
from ganlab.core.generative import GenerativeModule
from ganlab.core.randomness import random_states, restore_random_states
from ganlab.errors import UserError

Values = dict[str, float]


def log(trainer: pl.Trainer, module: GenerativeModule, values: Mapping[str, float]) -> None:
    """To every logger at this iteration, with the images seen; and where Lightning keeps metrics by name."""
    if not values:
        return
    row = {**values, "images_seen": float(module.images_seen)}
    for logger in trainer.loggers:
        logger.log_metrics(row, step=trainer.global_step)
    trainer.callback_metrics.update({name: torch.tensor(float(value)) for name, value in values.items()})


def finished(trainer: pl.Trainer) -> bool:
    """Whether this was the last iteration that was asked for."""
    return 0 <= trainer.max_steps <= trainer.global_step


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, nothing has gradients; outside, the global random states are what they would have been without it."""
    states = random_states()
    try:
        with torch.no_grad():
            yield
    finally:
        restore_random_states(states)


class Schedule(ABC):
    """When to look."""

    @abstractmethod
    def start(self, module: GenerativeModule) -> None:
        """Training starts, or goes on, from here."""

    @abstractmethod
    def due(self, module: GenerativeModule) -> bool:
        """Asked once after every iteration."""


@dataclass
class EveryImages(Schedule):
    """Each time the images seen pass a multiple of `images`."""

    images: int
    _before: int = 0

    def start(self, module: GenerativeModule) -> None:
        self._before = module.images_seen

    def due(self, module: GenerativeModule) -> bool:
        passed = module.images_seen // self.images > self._before // self.images
        self._before = module.images_seen
        return passed


@dataclass
class EveryIterations(Schedule):
    """Each multiple of `iterations`."""

    iterations: int

    def start(self, module: GenerativeModule) -> None:
        """Iterations are counted from the run's beginning."""

    def due(self, module: GenerativeModule) -> bool:
        return module.iteration % self.iterations == 0


def positive(name: str, value: int) -> int:
    """`value`; `UserError` unless it is at least 1."""
    if value < 1:
        raise UserError(f"`{name}` must be at least 1, got {value}")
    return value


class Measurement(pl.Callback, ABC):
    """Looks at the run on a schedule and after the last iteration."""

    what: str
    """What is measured, for the line that says that it cannot be."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._excused = False

    @abstractmethod
    def measure(self, trainer: pl.Trainer, module: GenerativeModule) -> Values:
        """The numbers to log, by their full names. Called on rank 0 only, so it must wait for no other process."""

    def share(self, trainer: pl.Trainer) -> None:
        """Called on every process after a measurement: what rank 0 found and all must know."""

    def on_train_start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        self.schedule.start(module)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.schedule.due(module) or finished(trainer):
            self.look(trainer, module)

    def look(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Measure and log now, or say once why that cannot be."""
        if trainer.is_global_zero:
            try:
                with undisturbed():
                    log(trainer, module, self.measure(trainer, module))
            except Exception as error:  # whatever it is, it is no reason to lose a run
                self._excuse(error)
        self.share(trainer)

    def _excuse(self, error: Exception) -> None:
        if not self._excused:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            say(f"ganlab: cannot measure {self.what} ({reason}); training goes on without it")
        self._excused = True
