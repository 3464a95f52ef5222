"""Runs as their folders tell them: the recipe, the summary, the logged numbers and the sheets of samples."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ganlab.config.words import settings, stored
from ganlab.errors import UserError
from ganlab.files.metrics_file import read_rows
from ganlab.files.run_folder import LARGEST_RECIPE, RunFolder
from ganlab.files.settings_file import read_yaml

LARGEST_SUMMARY = 2**24
X = "images_seen"
Curve = list[tuple[float, float]]
"""Points (images seen, value)."""


@dataclass(frozen=True)
class StoredRun:
    """One run. summary: the content of summary.json, or what is known so far of a run that has not ended."""

    folder: RunFolder
    recipe: Mapping[str, Any]
    summary: Mapping[str, Any]

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """Return the finite values of each logged number over images seen."""
        found: dict[str, Curve] = {}
        for row in read_rows(self.folder.metrics_file):
            if (x := _number(row.pop(X, None))) is None:
                continue
            for name, cell in row.items():
                if name != "iteration" and (y := _number(cell)) is not None:
                    found.setdefault(name, []).append((x, y))
        return found

    @property
    def name(self) -> str:
        """Return the name of the recipe."""
        return str(self.recipe.get("recipe") or self.summary.get("recipe") or self.folder.path.name)

    @property
    def seed(self) -> Any:
        """Return the run's seed."""
        return self.recipe.get("seed")

    @property
    def words(self) -> dict[str, str]:
        """Return the settings of the run's command line, `recipe` first; empty if they are unknown."""
        return settings(stored(self.recipe))

    @property
    def best(self) -> Mapping[str, Any] | None:
        """Return the best measurement, or None if no number chose a checkpoint."""
        best = self.summary.get("best")
        if not isinstance(best, Mapping) or not isinstance(best.get("name"), str) or not isinstance(best.get(X), int):
            return None
        return best if _number(best.get("value")) is not None else None

    @property
    def alarms(self) -> list[Mapping[str, Any]]:
        """Return the alarms of mode collapse."""
        found = (self.summary.get("collapse") or {}).get("alarms", [])
        return [one for one in found if isinstance(one, Mapping)]

    @property
    def sheets(self) -> list[tuple[int, Path]]:
        """Return the images seen and the file of each sheet of samples, in order."""
        files = self.folder.samples.glob("[0-9]*.png")
        return sorted((int(file.stem), file) for file in files if file.stem.isdecimal() and not file.is_symlink())

    @property
    def images_seen(self) -> int:
        """Return the images seen so far."""
        return int(self.summary.get(X) or max((line[-1][0] for line in self.curves.values()), default=0))

    @property
    def ended(self) -> bool:
        """Return whether the run took all of its iterations."""
        most = (self.recipe.get("trainer") or {}).get("max_steps", -1)
        return isinstance(most, int) and 0 < most <= int(self.summary.get("iterations") or 0)

    def last(self, name: str) -> float | None:
        """Return the last value of a number, or None if it was never measured."""
        value = _number(self.summary.get("metrics", {}).get(name))
        return self.curves[name][-1][1] if value is None and name in self.curves else value

    def at_best(self, name: str) -> float | None:
        """Return a number's value at the best checkpoint, or None if it was not measured there."""
        best = self.best
        if best is None:
            return None
        if name == best["name"]:
            return _number(best["value"])
        return dict(self.curves.get(name, [])).get(float(best[X]))

    def protocol(self, name: str) -> dict[str, Any]:
        """Return how a number was measured: its stamp, else the settings of the callback that measured it."""
        stamps = self.summary.get("protocols") or {}
        number = name.partition("/")[2]
        if isinstance(stamps.get(number), Mapping):
            return dict(stamps[number])
        callback = {"quality": "quality", "collapse": "collapse", "held_out": "game"}.get(name.partition("/")[0])
        if name.startswith("throughput/"):
            return {"device": (self.summary.get("versions") or {}).get("device", "unknown")}
        if callback is None:
            objective = (self.recipe.get("objective") or {}).get("_target_", "none")
            return {"objective": str(objective).rpartition(".")[2]}
        node = (self.recipe.get("callbacks") or {}).get(callback) or {}
        return {key: node[key] for key in ("count", "split", "extractor", "resizer", "seed") if key in node}


def _number(cell: Any) -> float | None:
    """Return a finite number, or None."""
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def read_run(path: str | Path, summary: Mapping[str, Any] | None = None) -> StoredRun:
    """Return the run in a folder. summary: what is known of a run that has not ended. Raise `UserError`."""
    folder = RunFolder(Path(path))
    if folder.recipe_file.is_file() and folder.recipe_file.stat().st_size > LARGEST_RECIPE:
        raise UserError(f"{folder.recipe_file} is no recipe: it has more than {LARGEST_RECIPE} bytes")
    recipe = read_yaml(folder.recipe_file) if folder.recipe_file.is_file() else {}
    return StoredRun(folder, recipe, _summary(folder) if summary is None else summary)


def _summary(folder: RunFolder) -> dict[str, Any]:
    file = folder.summary_file
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8")) if file.stat().st_size <= LARGEST_SUMMARY else None
    except ValueError as error:
        raise UserError(f"{file} is damaged ({error}): delete it, and the run counts as unfinished") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} is no summary of a run")
    return content


def find_runs(words: Sequence[str]) -> list[StoredRun]:
    """Return the runs in folders, in globs, and below folders that hold runs. Raise `UserError` if one has none."""
    found: dict[Path, StoredRun] = {}
    for word in words:
        folders = list(_below(_paths(word)))
        if not folders:
            raise UserError(f"`{word}` is no run: a run's folder has a recipe.yaml and a metrics.csv")
        found |= {folder.resolve(): read_run(folder) for folder in folders}
    return list(found.values())


def _paths(word: str) -> list[Path]:
    """Return a folder itself, or the folders that a pattern means."""
    path = Path(word)
    root, pattern = (Path(path.anchor), path.relative_to(path.anchor)) if path.is_absolute() else (Path(), path)
    return [path] if path.is_dir() else sorted(root.glob(str(pattern)))


def _below(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the run's folders among the paths and below them."""
    for path in paths:
        if _is_run(path):
            yield path
        elif path.is_dir():
            yield from (file.parent for file in sorted(path.rglob("recipe.yaml")) if _is_run(file.parent))


def _is_run(path: Path) -> bool:
    folder = RunFolder(path)
    return folder.recipe_file.is_file() and (folder.metrics_file.is_file() or folder.summary_file.is_file())
