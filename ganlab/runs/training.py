"""Train one run, from its recipe to its summary. `ganlab.fit`, scripts and notebooks call it."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch

from ganlab.callbacks.checkpoints import Checkpoints
from ganlab.config.described import described
from ganlab.config.recipe import to_yaml
from ganlab.console import from_here, say
from ganlab.core.assembly import Recipe, make_data, make_module, make_strategy, make_trainer
from ganlab.core.checkpoints import StoredModel, read_checkpoint, rehearse
from ganlab.core.compiling import compile_networks
from ganlab.core.generative import GenerativeModule
from ganlab.core.launchers import hear, launcher, publish
from ganlab.core.starting import Start, model_to_start_from, warm_start
from ganlab.data.base import DataSpec, GanData
from ganlab.errors import UserError
from ganlab.files.lock import sole_writer
from ganlab.files.run_folder import SHARED, RunFolder, is_first_process
from ganlab.reports.commands import next_commands
from ganlab.runs.memory import forget_peaks
from ganlab.runs.opening import details, opening, show_start
from ganlab.runs.reading import read_ahead
from ganlab.runs.reporting import Reporter
from ganlab.runs.resuming import checkpoint_to_resume, is_complete, mend, resumed_module, tell_other_count
from ganlab.runs.summary import far_from_best, summarize


class Trained(NamedTuple):
    """A run that has ended: its folder, its model and data in memory, and its summary (empty but on process 0).

    stopped_by: the number of the signal that ended it early, or 0.
    """

    folder: RunFolder
    module: GenerativeModule
    data: GanData
    summary: dict[str, Any]
    stopped_by: int


def train(recipe: Recipe) -> Path:
    """Train a run of the recipe, print its results, and return the run's folder.

    A signal that ends the run (Ctrl-C, SIGTERM) saves it first. The process then exits with 128 + the signal's number.
    """
    checkpoint = checkpoint_to_resume(recipe)
    content = read_checkpoint(checkpoint) if checkpoint else {}
    if checkpoint and is_complete(recipe, checkpoint, content["ganlab"]["iteration"]):
        if is_first_process():
            say(f"ganlab: {recipe['run_dir']} is complete: {content['ganlab']['iteration']} iterations")
        return Path(recipe["run_dir"])
    trained = run(recipe, checkpoint, content)
    if trained.summary:
        _show(trained.folder, trained.summary, recipe)
    if trained.stopped_by:
        raise SystemExit(128 + trained.stopped_by)  # what shells and schedulers expect
    return trained.folder.path


def run(recipe: Recipe, checkpoint: Path | None = None, content: Mapping[str, Any] | None = None) -> Trained:
    """Train a run of the recipe, from the start or from a checkpoint with this content, and write its summary."""
    quiet_lightning()
    forget_peaks()
    started = time.monotonic()
    content = content or {}
    make_strategy(recipe["trainer"])  # raises if it cannot be made, before anything else is made
    pl.seed_everything(recipe["seed"], verbose=False)
    torch.set_float32_matmul_precision(recipe.get("matmul_precision", "high"))
    model = None if checkpoint else model_to_start_from(recipe)
    data = make_data(recipe)
    if checkpoint:
        module, start = resumed_module(recipe, data.spec, content, checkpoint), None
    else:
        module, start = _new_module(recipe, data.spec, model)
    if module.origin:
        recipe = dict(recipe) | {"origin": dict(module.origin)}
    compile_networks(module, recipe.get("compile", False))
    read_ahead(module, data.train)
    summary: dict[str, Any] = {}
    with claimed(recipe) as folder:
        trainer = make_trainer(recipe, folder.path)
        reporter = Reporter(described(recipe), folder, started)
        trainer.callbacks.append(reporter)  # type: ignore[attr-defined]  # after all that measure and save
        if checkpoint:
            rehearse(trainer, module, content, checkpoint)
        if trainer.is_global_zero:
            mend(folder)
            folder.write_recipe(to_yaml(described(recipe)))
            _open(recipe, folder, data, module, start)
            tell_other_count(content, len(data.train))
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        if module.iteration == 0:
            raise UserError(
                "the run ended before its first iteration, so there is nothing to keep: a signal ended it, or "
                "`trainer.max_time` or `trainer.limit_train_batches`"
            )
        if trainer.is_global_zero:
            summary = summarize(described(recipe), folder.checkpoint(), trainer, module, time.monotonic() - started)
            folder.write_summary(summary)
            reporter.write(summary)
    return Trained(folder, module, data, summary, _stopped_by(trainer))


def _open(recipe: Recipe, folder: RunFolder, data: GanData, module: GenerativeModule, start: Start | None) -> None:
    say(f"ganlab: {recipe['recipe']} into {from_here(folder.path)}")
    first, *players = opening(recipe, data, module)
    for line in (first, *details(recipe, data), *players):
        say(f"  {line}")
    if start is not None:
        show_start(start)


def _new_module(recipe: Recipe, spec: DataSpec, model: StoredModel | None) -> tuple[GenerativeModule, Start | None]:
    """Return the recipe's module, and what it takes from a model. Its recipe then says which model that is."""
    if recipe.get("origin"):
        raise UserError("`origin` is written by fit: pass init=RUN to start from a model")
    module = make_module(recipe, spec)
    if start := warm_start(module, model, recipe.get("init_parts")):
        module.recipe["origin"] = start.origin
    return module, start


@contextmanager
def claimed(recipe: Recipe) -> Iterator[RunFolder]:
    """Yield the folder of a run, locked against other runs. It stays unchanged until the block changes it."""
    folder = _agreed(recipe)
    with sole_writer(folder.path) if is_first_process() else nullcontext():
        yield folder


def _agreed(recipe: Recipe) -> RunFolder:
    """Return the run's folder. The first process chooses it. It tells the others, if something else started them."""
    if launcher() is None:
        return RunFolder.start(recipe)
    if not is_first_process():
        if not (path := hear()):
            raise UserError("the first process of the run has ended: its line says why")
        os.environ[SHARED] = path
        return RunFolder.start(recipe)
    path = ""
    try:
        folder = RunFolder.start(recipe)
        path = str(folder.path.absolute())
        return folder
    finally:
        publish(path)


def _stopped_by(trainer: pl.Trainer) -> int:
    """Return the number of the signal that ended the run, or 0."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((one.stopped_by for one in callbacks if isinstance(one, Checkpoints) and one.stopped_by), 0)


def _show(folder: RunFolder, summary: Mapping[str, Any], recipe: Recipe) -> None:
    """Print the last measurements, the locations of the pictures and of the report, and the next commands."""
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True)
    table = Table(
        "measured",
        "value",
        title=f"{summary['recipe']}: {summary['iterations']} iterations, "
        f"{summary['images_seen']} images seen, {summary['seconds']:.0f} s",
    )
    for name, value in summary["metrics"].items():
        if name.count("/") == 1:  # parts of a printed number are in the file only
            table.add_row(name, f"{value:.4g}")
    console.print(table if table.row_count else table.title)
    if far := far_from_best(summary):
        console.print(f"{summary['recipe']} ended {far}", style="bold", highlight=False, markup=False)
    for sentence in summary.get("copies", {}).get("words", ()):
        console.print(sentence, highlight=False, markup=False)
    commands = next_commands(str(folder.path), recipe, summary)
    for word, what in {"pictures": folder.samples, "report": folder.report_file, **commands}.items():
        console.print(f"{word:<10}{what}", highlight=False, markup=False)


def quiet_lightning() -> None:
    """Silence Lightning's warnings that do not apply to a game of two players."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    for message in (
        r"Found \d+ module\(s\) in eval mode",  # the average: it never trains
        r".*does not have many workers",  # the pictures are in memory, so there is nothing to wait for
        r"You're resuming from a checkpoint that ended before the epoch ended",  # the stream knows its place
        r".*isinstance\(treespec, LeafSpec\)",  # inside Lightning
        r"The \.grad attribute of a Tensor that is not a leaf",  # inside torch.compile
    ):
        warnings.filterwarnings("ignore", message)
