"""Complete training runs as parts of an experiment: trained once, reused, and shared among several processes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ganlab.config.recipe import compose, literal
from ganlab.errors import UserError
from ganlab.files.run_folder import RunFolder
from ganlab.runs.training import train

AT_ONCE, AS_LONG_AS_IT_TAKES = 0, -1  # the waiting times of FileLock


def trained(folder: Path, jobs: Mapping[str, Sequence[str]]) -> dict[str, RunFolder]:
    """Return the finished run of each job: a recipe's words, by the name of its folder in `folder`.

    A finished run is not repeated. An interrupted one is resumed. If the same command is started several times, the
    processes share the work: a run that another process trains is left to it until nothing else is to do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for patience in (AT_ONCE, AS_LONG_AS_IT_TAKES):
        for name, words in jobs.items():
            _finish(folder / name, words, patience)
    return {name: RunFolder(folder / name) for name in jobs}


def measured(run: RunFolder) -> dict[str, float]:
    """Return the last measurements in the run's summary."""
    numbers: dict[str, float] = summary(run)["metrics"]
    return numbers


def summary(run: RunFolder) -> dict[str, Any]:
    """Return the run's summary."""
    content: dict[str, Any] = json.loads(run.summary_file.read_text(encoding="utf-8"))
    return content


def _finish(folder: Path, words: Sequence[str], patience: float) -> None:
    try:
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=patience):
            if not RunFolder(folder).summary_file.exists():
                _train(folder, words)
    except Timeout:
        return  # another process trains it


def _train(folder: Path, words: Sequence[str]) -> None:
    """Train the run, resumed from its checkpoint if it has one."""
    recipe = compose(*words, literal("run_dir", folder))
    if RunFolder(folder).last_file.exists():
        try:
            train(compose(literal("resume", folder), f"trainer.max_steps={recipe['trainer']['max_steps']}"))
            return
        except UserError:  # all iterations are done, only the summary is missing
            pass
    shutil.rmtree(folder, ignore_errors=True)
    train(recipe)
