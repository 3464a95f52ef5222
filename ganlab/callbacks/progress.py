"""A progress bar over the iterations with losses, images per second and time left; lines without a terminal.

It writes to stderr, on rank 0 only, and logs `throughput/images_per_second`. Lightning's own bars count batches of an
epoch, and the epoch is endless here.
"""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl

from ganlab.callbacks.display import Display, Silence, fitting_display, losses
from ganlab.callbacks.measurement import log
from ganlab.callbacks.pace import Pace, clock
from ganlab.config.ranges import NonNegative
from ganlab.console import say
from ganlab.core.generative import GenerativeModule

SURE = 3.0  # seconds of iterations after which the run's time is estimated


class IterationBar(pl.Callback):
    """Shows the progress of training. `seconds`: between two lines if there is no terminal."""

    def __init__(self, seconds: NonNegative = 10.0) -> None:
        self.seconds = seconds
        self._display: Display = Silence()
        self._pace, self._logged = Pace(), Pace()
        self._shown, self._shown_at = 0.0, -1
        self._expects = 0  # the iteration from which the run's time is estimated; 0 for never
        self._first: tuple[float, int] | None = None

    def on_train_start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        """Start to count, on process 0 only."""
        if not trainer.is_global_zero:
            return
        self._display = fitting_display(self.seconds)
        self._expects, self._first = (module.iteration + 2 if trainer.max_steps > 0 else 0), None
        self._shown = time.monotonic()
        for pace in (self._pace, self._logged):
            pace.mark(self._shown, module.images_seen, module.iteration)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the iteration if the last update is old enough."""
        now = time.monotonic()
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if module.iteration % every == 0 and trainer.is_global_zero:
            self._logged.mark(now, module.images_seen, module.iteration)
            log(trainer, module, {"throughput/images_per_second": self._logged.images_per_second()})
        if self._expects and module.iteration >= self._expects:
            self._expect(trainer, module, now)
        if now - self._shown >= self._display.seconds:
            self._show(trainer, module, now)

    def _expect(self, trainer: pl.Trainer, module: GenerativeModule, now: float) -> None:
        """Say how long the run will take, from its first iterations after the very first, which is slower."""
        if self._first is None:
            self._first = (now, module.iteration)
            return
        seconds, done = now - self._first[0], module.iteration - self._first[1]
        if seconds >= SURE:
            total = seconds / done * (trainer.max_steps - module.iteration)
            say(f"  about {clock(total)} for {trainer.max_steps:,} iterations, and the time of measurements")
            self._expects = 0

    def _show(self, trainer: pl.Trainer, module: GenerativeModule, now: float) -> None:
        self._shown, self._shown_at = now, module.iteration
        self._pace.mark(now, module.images_seen, module.iteration)
        total = trainer.max_steps if trainer.max_steps > 0 else None
        left = "" if total is None else f"{clock(self._pace.seconds_left(total - module.iteration))} left"
        said = losses(trainer.callback_metrics) or losses(module.unlogged())
        parts = (said, f"{self._pace.images_per_second():.0f} images/s", left)
        self._display.update(module.iteration, total, "  ".join(part for part in parts if part))

    def on_train_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        """Show the last iteration and stop."""
        if trainer.is_global_zero and self._shown_at != module.iteration:
            self._show(trainer, module, time.monotonic())
        self._stop()

    def on_exception(self, trainer: pl.Trainer, module: GenerativeModule, exception: BaseException) -> None:  # type: ignore[override]
        """Stop, so that the error starts on a line of its own."""
        self._stop()

    def _stop(self) -> None:
        self._display.stop()
        self._display = Silence()
