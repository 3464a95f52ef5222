"""The base class of callbacks that measure a run: their schedule, their process, and their failures.

A measurement never changes the run and restores all random states. Its result is that of rank 0; the work before may be
shared by all processes (`collect`). An error in it becomes one line on stderr, printed once. It uses a variant only by
its public methods.
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
from ganlab.processes import is_lost

Values = dict[str, float]


def log(trainer: pl.Trainer, module: GenerativeModule, values: Mapping[str, float]) -> None:
    """Send values to every logger at this iteration, with the images seen, and to `trainer.callback_metrics`."""
    if not values:
        return
    row = {**values, "images_seen": float(module.images_seen)}
    for logger in trainer.loggers:
        logger.log_metrics(row, step=trainer.global_step)
    trainer.callback_metrics.update({name: torch.tensor(float(value)) for name, value in values.items()})


def finished(trainer: pl.Trainer) -> bool:
    """Return whether this was the last iteration of the run."""
    return 0 <= trainer.max_steps <= trainer.global_step


@contextmanager
def undisturbed() -> Iterator[None]:
    """Disable gradients inside, and restore the global random states at the end."""
    states = random_states()
    try:
        with torch.no_grad():
            yield
    finally:
        restore_random_states(states)


class Schedule(ABC):
    """The rule for the times of measurements."""

    @abstractmethod
    def start(self, module: GenerativeModule) -> None:
        """Start to count where training starts or resumes."""

    @abstractmethod
    def due(self, module: GenerativeModule) -> bool:
        """Return whether to measure now. Called once after every iteration."""


@dataclass
class EveryImages(Schedule):
    """A schedule that is due each time the images seen pass a multiple of `images`."""

    images: int
    _before: int = 0

    def start(self, module: GenerativeModule) -> None:
        """Start to count from the images seen."""
        self._before = module.images_seen

    @property
    def interval(self) -> int:
        """Return the images between two measurements."""
        return self.images

    def due(self, module: GenerativeModule) -> bool:
        """Return whether a multiple of the interval was passed since the last call."""
        passed = module.images_seen // self.interval > self._before // self.interval
        self._before = module.images_seen
        return passed


@dataclass
class Widening(EveryImages):
    """`EveryImages` whose interval doubles when measurements take more than a share of the run's time.

    share: of the time since the measurement before. doublings: so far. All times are multiples of the first interval.
    """

    share: float = 1.0
    doublings: int = 0
    _ended: float | None = None

    @property
    def interval(self) -> int:
        """Return the images between two measurements."""
        return self.images * 2**self.doublings

    def spent(self, seconds: float, now: float) -> bool:
        """Note that a measurement took so many seconds and ended now. Return whether that was too much.

        The first one of a process also loads networks and takes the features of real pictures, so it does not count.
        """
        too_much = self._ended is not None and seconds > self.share * (now - self._ended)
        self._ended = now
        return too_much


@dataclass
class EveryIterations(Schedule):
    """A schedule that is due at each multiple of `iterations`."""

    iterations: int

    def start(self, module: GenerativeModule) -> None:
        """Do nothing: iterations count from the start of the run."""

    def due(self, module: GenerativeModule) -> bool:
        """Return whether the iteration is a multiple."""
        return module.iteration % self.iterations == 0


class Never(Schedule):
    """A schedule that is never due: a measurement is then made after the last iteration only."""

    def start(self, module: GenerativeModule) -> None:
        """Do nothing."""

    def due(self, module: GenerativeModule) -> bool:
        """Return False."""
        return False


def positive(name: str, value: int) -> int:
    """Return `value`. Raise `UserError` if it is below 1."""
    if value < 1:
        raise UserError(f"`{name}` must be at least 1, got {value}")
    return value


class Measurement(pl.Callback, ABC):
    """Measures the run on a schedule and after the last iteration."""

    what: str
    """The object of measurement, for the message of a failure."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.looked_at = -1  # the iteration of the last look
        self._reported = False

    def collect(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Do this process's share of the work before `measure`. Called on every process, each of which may fail.

        If it waits for the others, it must do so whether or not its own work fails: see `ganlab.processes.together`.
        """

    @abstractmethod
    def measure(self, trainer: pl.Trainer, module: GenerativeModule) -> Values:
        """Return the values to log, by their full names.

        It is called on rank 0 only, so it must not wait for other processes.
        """

    def share(self, trainer: pl.Trainer) -> None:
        """Send the results of rank 0 to all processes. Called on every process after a measurement."""

    def on_train_start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        """Start the schedule."""
        self.schedule.start(module)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure if it is due, or if this was the last iteration."""
        if self.schedule.due(module) or finished(trainer):
            self.look(trainer, module)

    def look(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Measure and log now. Print the first error and continue."""
        self.looked_at = module.iteration
        try:
            with module.whole(), undisturbed():
                self.collect(trainer, module)
                if trainer.is_global_zero:
                    log(trainer, module, self.measure(trainer, module))
        except Exception as error:  # no error of a measurement may end a run
            if is_lost(error):
                raise
            self.report_failure(trainer, error)
        self.share(trainer)

    def report_failure(self, trainer: pl.Trainer, error: Exception) -> None:
        """Print the first error, on rank 0, as one line."""
        if trainer.is_global_zero and not self._reported:
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            reason = " ".join(f"{kind}{error}".split())
            say(f"ganlab: cannot measure {self.what} ({reason}); training goes on without it")
        self._reported = True
