"""`python -m ganlab.lecture`: draw a claim of the lecture and measure it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ganlab.config import cli
from ganlab.errors import UserError, suggestion
from ganlab.lecture.catalog import experiments

LONGEST = 8  # the most values of a list that fit a line of the table


@dataclass(frozen=True)
class LectureSettings:
    """The settings on the command line of lecture, beside the experiments' names."""

    out: str = cli.setting("lecture", "folder for the pictures and numbers, NAME.png and NAME.json")
    seed: int = cli.setting(0, "of everything that is drawn: the same seed gives the same numbers")


def help_text() -> str:
    """Return the text of `--help`."""
    return f"""\
Draw and measure claims of the lecture: python -m ganlab.lecture NAME [NAME ...] [setting=VALUE ...]

Experiments
{cli.table(experiments())}

Settings
{cli.settings_table(LectureSettings)}

Examples
  python -m ganlab.lecture gradients
  python -m ganlab.lecture meter covering seed=1 out=figures"""


def main() -> None:
    """Run the command line. Help and mistakes in the words are answered before torch is loaded."""
    cli.run(help_text(), lambda words: lecture(*understood(words)))


def understood(words: Sequence[str]) -> tuple[list[str], LectureSettings]:
    """Return the named experiments, each once, and the settings. Raise `UserError`."""
    names = list(dict.fromkeys(word for word in words if "=" not in word))
    settings = cli.read_settings(LectureSettings, [word for word in words if "=" in word])
    known = list(experiments())
    if not names:
        raise UserError(f"an experiment is needed: there are {', '.join(known)}")
    for name in names:
        if name not in known:
            raise UserError(f"`{name}` is not an experiment: {suggestion(name, known)}")
    return names, settings


def lecture(names: Sequence[str], settings: LectureSettings) -> None:
    """Run one experiment after the other. Each draws its pictures and writes its numbers beside them."""
    for name in names:
        file = measure(name, Path(settings.out), settings.seed)
        show(name, json.loads(file.read_text(encoding="utf-8")))
        print(f"numbers and pictures in {file.parent}")


def measure(name: str, folder: Path, seed: int) -> Path:
    """Run one experiment and return its file of numbers, folder/NAME.json."""
    import pytorch_lightning as pl

    from ganlab.files.durable import atomic_write
    from ganlab.runs.training import quiet_lightning

    quiet_lightning()
    folder.mkdir(parents=True, exist_ok=True)
    experiment = import_module(f"ganlab.lecture.{name}")
    pl.seed_everything(seed, verbose=False)
    started, worked = time.monotonic(), time.process_time()
    numbers = experiment.run(folder, seed)
    content = report(name, seed, numbers, time.monotonic() - started, time.process_time() - worked)
    return atomic_write(folder / f"{name}.json", json.dumps(content, indent=2, allow_nan=False) + "\n")


def report(name: str, seed: int, numbers: Mapping[str, Any], seconds: float, processor: float) -> dict[str, Any]:
    """Return the numbers with all information that is needed to measure them again."""
    import torch

    import ganlab

    return {
        "experiment": name,
        "command": f"python -m ganlab.lecture {name} seed={seed}",
        "seed": seed,
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),  # of all threads of this process; other processes do not count
        "threads": torch.get_num_threads(),
        "versions": {"ganlab": ganlab.__version__, "torch": torch.__version__},
        "numbers": dict(numbers),
    }


def show(name: str, content: Mapping[str, Any]) -> None:
    """Print a table of the numbers. Long lists, which are curves, are in the file only."""
    from rich.console import Console
    from rich.table import Table

    table = Table("measured", "value", title=f"{name}: {content['seconds']:.0f} s, seed {content['seed']}")
    for key, value in _flat(content["numbers"]):
        table.add_row(key, _brief(value))
    Console(soft_wrap=True).print(table)


def _flat(numbers: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values with their nested names, joined by dots."""
    for key, value in numbers.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _brief(value: Any) -> str:
    if isinstance(value, list):
        plain = len(value) <= LONGEST and not any(isinstance(item, list | dict) for item in value)
        return ", ".join(map(_brief, value)) if plain else f"{len(value)} values"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
