"""The folder of a sweep: one folder for each of its runs, named by what differs, and the sweep's own command.

runs/<recipe>/sweep-<number>/{sweep.json, <what differs>/, ..., table.md, table.csv, curves.png, report.html}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.files.durable import atomic_write
from ganlab.files.run_folder import checked_name

MARK = "sweep.json"


@dataclass(frozen=True)
class SweepFolder:
    """The folder of one sweep; it exists."""

    path: Path

    @classmethod
    def start(cls, recipe: str, chosen: str | None, command: Sequence[str], swept: Sequence[str]) -> SweepFolder:
        """Make the folder: the one that the user chose, or the next `runs/<recipe>/sweep-<number>`."""
        path = Path(chosen) if chosen else _next(Path("runs") / checked_name(recipe, "recipe"))
        path.mkdir(parents=True, exist_ok=True)
        said = {"recipe": recipe, "command": list(command), "swept": list(swept)}
        atomic_write(path / MARK, json.dumps(said, indent=2) + "\n")
        return cls(path)

    @classmethod
    def around(cls, run: Path) -> SweepFolder | None:
        """Return the sweep that a run's folder belongs to; None if it belongs to none."""
        return cls(run.parent) if (run.parent / MARK).is_file() else None

    def job(self, name: str, again: bool) -> Path:
        """Make the folder of one job. again: take the folder of this name if there is one, since its run goes on."""
        path, number = self.path / name, 1
        while True:
            try:
                path.mkdir(exist_ok=again)
                return path
            except FileExistsError:
                number += 1
                path = self.path / f"{name}_{number}"

    def said(self) -> Mapping[str, Any]:
        """Return the sweep's recipe, command and swept keys; an empty mapping if the file is damaged."""
        try:
            content = json.loads((self.path / MARK).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def _next(parent: Path) -> Path:
    """Make and return the next free folder. Two processes never get the same one."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        try:
            (parent / f"sweep-{number}").mkdir()
            return parent / f"sweep-{number}"
        except FileExistsError:
            number += 1
