"""Write a run's report.html at each look at its samples, and when it ends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl

from ganlab.callbacks.collapse import CollapseMonitor
from ganlab.callbacks.measurement import Measurement
from ganlab.callbacks.pictures import SampleGrid
from ganlab.callbacks.quality import BestTracker
from ganlab.console import say
from ganlab.core.generative import GenerativeModule
from ganlab.files.run_folder import RunFolder
from ganlab.loggers import CsvLogger
from ganlab.reports.page import write_report
from ganlab.reports.stored import read_run
from ganlab.runs.summary import summarize

LOOKS = (BestTracker, SampleGrid, CollapseMonitor)
SHARE = 0.02
"""The largest share of a run's time that its reports take: a look that comes too early is left to the next."""


class Reporter(pl.Callback):
    """Writes the report on process 0. It comes after all callbacks that measure. An error never ends the run.

    started: the run's start on the clock of `time.monotonic`.
    """

    def __init__(self, recipe: Mapping[str, Any], folder: RunFolder, started: float) -> None:
        self._recipe, self._folder, self._started = recipe, folder, started
        self._due_at, self._failed = 0.0, False

    def on_train_start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        """Show the pictures of the untrained generator, or of the resumed one."""
        self._look(trainer, module)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the report if there was a look at this iteration."""
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        looks = [one for one in callbacks if isinstance(one, Measurement) and isinstance(one, LOOKS)]
        if any(one.looked_at == module.iteration for one in looks) and time.monotonic() >= self._due_at:
            self._look(trainer, module)

    def _look(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            if isinstance(logger, CsvLogger):
                logger.save()
        files = (self._folder.best_file, self._folder.last_file)
        checkpoint = next((file for file in files if file.is_file()), "")
        summary = summarize(self._recipe, checkpoint, trainer, module, time.monotonic() - self._started)
        self.write({**summary, "running": True})

    def write(self, summary: Mapping[str, Any]) -> None:
        """Write the report of the run with this summary. Print the first error and go on."""
        began = time.monotonic()
        try:
            write_report([read_run(self._folder.path, summary)], self._folder.report_file)
        except Exception as error:  # a page that cannot be drawn may not end a run
            if not self._failed:
                say(f"ganlab: cannot write {self._folder.report_file} ({type(error).__name__}: {error})")
            self._failed = True
        ended = time.monotonic()
        self._due_at = ended + (ended - began) / SHARE
