"""The loggers of a run: `metrics.csv` always, TensorBoard on request. dashboard.py has W&B.

Each is built with the run's folder and its recipe. A row is an iteration (`step`) and has the images seen. Pictures
go to a logger by `show`, for which another kind of logger may be registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only

from ganlab.config.derived import leaves
from ganlab.files.durable import atomic_write, sync
from ganlab.files.metrics_file import Row, as_text, columns_of, read_rows
from ganlab.files.run_folder import RunFolder
from ganlab.loggers.dashboard import Dashboard
from ganlab.loggers.sheet import Exhibit

FIRST = ("iteration", "images_seen")
UNTRAINED = ("callbacks", "logger", "derived", "overrides", "run_dir", "resume", "allow", "ganlab")
"""Keys of a recipe that are no hyper-parameters."""


@singledispatch
def show(logger: Logger, exhibit: Exhibit, step: int, images_seen: int) -> None:
    """Send pictures to a logger. Loggers of numbers only ignore them."""


@show.register
def _(logger: TensorBoardLogger, exhibit: Exhibit, step: int, images_seen: int) -> None:
    logger.experiment.add_image("samples", np.asarray(exhibit.sheet), step, dataformats="HWC")


@show.register
def _(logger: Dashboard, exhibit: Exhibit, step: int, images_seen: int) -> None:
    logger.show(exhibit, step, images_seen)


@singledispatch
def alert(logger: Logger, kind: str, text: str, exhibit: Exhibit | None, step: int, images_seen: int) -> None:
    """Send an alarm of some kind, with a picture if there is one. Loggers of numbers only ignore it."""


@alert.register
def _(logger: TensorBoardLogger, kind: str, text: str, exhibit: Exhibit | None, step: int, images_seen: int) -> None:
    logger.experiment.add_text("collapse/alarm", text, step)
    if exhibit is not None:
        logger.experiment.add_image("collapse/missing", np.asarray(exhibit.sheet), step, dataformats="HWC")


@alert.register
def _(logger: Dashboard, kind: str, text: str, exhibit: Exhibit | None, step: int, images_seen: int) -> None:
    logger.alert(kind, text, exhibit, step, images_seen)


class CsvLogger(Logger):
    """Writes `metrics.csv` in the run's folder: one row an iteration, columns in the order of their appearance.

    A row is written when a later iteration is logged, or by `save`. A new column rewrites the file, in one move. In a
    resumed run, rows that the interrupted run logged beyond its checkpoint are replaced.
    """

    name = "csv"
    version = ""

    def __init__(self, folder: Path | str, recipe: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.path = RunFolder(Path(folder)).metrics_file
        self._row: Row = {}
        self._written: Row = {}  # the current row as the last line of the file has it
        self._columns: list[str] | None = None

    @property
    def save_dir(self) -> str:
        """Return the run's folder."""
        return str(self.path.parent)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run's folder has the recipe already."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add numbers to the row of iteration `step`."""
        if self._columns is None:
            self._columns = self._open(step or 0)
        if self._row and self._row["iteration"] != step:
            self._write()
            self._row, self._written = {}, {}
        self._row.update({name: value for name, value in metrics.items() if name != "epoch"}, iteration=step)

    @rank_zero_only
    def save(self) -> None:
        """Write all rows to disk, the current one as it is now. `Checkpoints` calls this before it saves."""
        self._write()
        if self.path.exists():
            sync(self.path)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the last row."""
        self._write()

    def _open(self, step: int) -> list[str]:
        """Return the columns of the existing file. Remove its rows that will be logged again."""
        rows = read_rows(self.path)
        before = [row for row in rows if int(row["iteration"]) < step]
        columns = columns_of(before, list(FIRST))
        if rows:
            atomic_write(self.path, as_text(before, columns, header=True))
        return columns

    def _write(self) -> None:
        if self._row == self._written:
            return
        columns = columns_of([self._row], self._columns or [])
        if self._written or columns != self._columns or not self.path.exists():
            before = read_rows(self.path)[: -1 if self._written else None]
            atomic_write(self.path, as_text([*before, self._row], columns, header=True))
        else:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                file.write(as_text([self._row], columns, header=False))
        self._columns, self._written = columns, dict(self._row)


class TensorBoard(TensorBoardLogger):
    """Writes TensorBoard's files in the run's folder: `tensorboard --logdir runs` finds them all.

    The recipe's single values are the run's hyper-parameters.
    """

    def __init__(self, folder: Path | str, recipe: Mapping[str, Any] | None = None) -> None:
        super().__init__(str(folder), name="", version="tensorboard", default_hp_metric=False)
        self._hyperparameters = hyperparameters(recipe or {})

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers, and the hyper-parameters before the first of them."""
        if self._hyperparameters:
            self.experiment.add_hparams(self._hyperparameters, {}, run_name=".")
            self._hyperparameters = {}
        super().log_metrics(dict(metrics), step)


def hyperparameters(recipe: Mapping[str, Any]) -> dict[str, str | float]:
    """Return a recipe's single values by their places, without those of callbacks and loggers.

    >>> hyperparameters({"seed": 1, "objective": {"_target_": "ganlab.objectives.Hinge"}, "logger": {}})
    {'seed': 1, 'objective': 'Hinge'}
    """
    kept = {key: value for key, value in recipe.items() if key not in UNTRAINED}
    return {place.removesuffix("._target_"): _single(place, value) for place, value in leaves(kept)}


def _single(place: str, value: Any) -> str | float:
    if isinstance(value, bool | int | float):
        return value
    return str(value).rpartition(".")[2] if place.endswith("_target_") else str(value)
