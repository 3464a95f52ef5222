"""A run's folder: the paths of its files, its creation, the choice of a valid checkpoint, the closing summary.

    runs/<recipe>/<version>/{recipe.yaml, checkpoints/, samples/, metrics.csv, summary.json, report.html}

Each file is written under a temporary name and moved into place: a reader sees all of it or none. This module does not
use models. It loads torch only to read the recipe of a checkpoint that has no run's folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.console import say_once
from ganlab.errors import UserError
from ganlab.files.addresses import Address
from ganlab.files.archive import check_archive
from ganlab.files.durable import atomic_write
from ganlab.files.published import MODEL_FILE, is_published
from ganlab.files.settings_file import read_yaml

SHARED = "GANLAB_RUN_DIR"
"""The environment variable that tells the other processes of a run the folder that the first one made."""

LARGEST_RECIPE = 2**17
"""The most bytes that a run's recipe.yaml may have."""

SEAL = "# sha256 of the lines above: "

AUTO = "auto"
"""The value of `resume=auto`: continue the run in `run_dir` if it has a checkpoint, else begin it."""

SUMMARY_KEYS = ("recipe", "iterations", "images_seen", "seconds", "metrics", "checkpoint")


def is_first_process() -> bool:
    """Return whether this process makes the run's folder: no other process of the run started it."""
    return all(os.environ.get(name, "0") in ("", "0") for name in ("LOCAL_RANK", "RANK", "SLURM_PROCID"))


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; the files in it need not exist yet."""

    path: Path

    @property
    def recipe_file(self) -> Path:
        """Return the file of the run's recipe."""
        return self.path / "recipe.yaml"

    @property
    def checkpoints(self) -> Path:
        """Return the folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def last_file(self) -> Path:
        """Return the file of the last checkpoint."""
        return self.checkpoints / "last.ckpt"

    @property
    def previous_file(self) -> Path:
        """Return the file of the last checkpoint but one."""
        return self.checkpoints / "previous.ckpt"

    @property
    def best_file(self) -> Path:
        """Return the file of the best checkpoint."""
        return self.checkpoints / "best.ckpt"

    @property
    def samples(self) -> Path:
        """Return the folder of the sample pictures."""
        return self.path / "samples"

    @property
    def metrics_file(self) -> Path:
        """Return the table of all logged numbers."""
        return self.path / "metrics.csv"

    @property
    def summary_file(self) -> Path:
        """Return the file of the closing summary."""
        return self.path / "summary.json"

    @property
    def report_file(self) -> Path:
        """Return the page that shows the run."""
        return self.path / "report.html"

    @classmethod
    def new(cls, recipe: str, root: str | Path = "runs") -> RunFolder:
        """Make `root/recipe/version` with the next free version. Two processes never get the same folder."""
        parent = Path(root) / checked_name(recipe, "recipe")
        parent.mkdir(parents=True, exist_ok=True)
        versions = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
        version = max(versions, default=-1) + 1
        while True:
            try:
                (parent / str(version)).mkdir()
                return cls(parent / str(version))
            except FileExistsError:
                version += 1

    @classmethod
    def at(cls, path: str | Path) -> RunFolder:
        """Make the folder that a user chose for a new run. Raise `UserError` if it holds a run already."""
        folder = cls(Path(path))
        if folder.path.is_file():
            raise UserError(f"`run_dir` {path} is a file: name a folder")
        if folder.recipe_file.exists() or folder.checkpoints.exists():
            raise UserError(
                f"`run_dir` {path} holds a run already: go on with it by resume={path}, or name another folder"
            )
        folder.path.mkdir(parents=True, exist_ok=True)
        return folder

    @classmethod
    def of(cls, path: str | Path) -> RunFolder:
        """Return the run that a path to its folder or to a checkpoint means. Raise `UserError` if it does not exist.

        An address, and the file that it stands for, means a folder of the user's own, `runs/zoo/NAME`, which need not
        exist: nothing is written into the package or into a cache.
        """
        if address := Address.read(path) or Address.of(path):
            return cls(address.local)
        path = _existing(Path(path))
        if path.is_dir():
            return cls(path)
        return cls(path.parent.parent if path.parent.name == "checkpoints" else path.parent)

    @classmethod
    def start(cls, recipe: Mapping[str, Any], root: str | Path = "runs") -> RunFolder:
        """Return the folder for a run of this recipe. It is the same one in all processes of the run.

        It is `run_dir` if the recipe names one, else the resumed run's own folder, else a new version.
        """
        if not is_first_process():
            return cls(Path(_shared(recipe)))
        folder = cls._choose(recipe, root)
        os.environ[SHARED] = str(folder.path.absolute())
        return folder

    @classmethod
    def _choose(cls, recipe: Mapping[str, Any], root: str | Path) -> RunFolder:
        if recipe.get("resume") == AUTO:
            folder = cls(Path(recipe["run_dir"]))
            folder.path.mkdir(parents=True, exist_ok=True)
            return folder
        resumed = cls.of(recipe["resume"]) if recipe.get("resume") else None
        if recipe.get("run_dir"):
            same = resumed is not None and Path(recipe["run_dir"]).resolve() == resumed.path.resolve()
            return resumed if resumed and same else cls.at(recipe["run_dir"])
        if resumed and resumed.recipe_file.exists():
            return resumed
        return cls.new(str(recipe["recipe"]), root)

    def checkpoint(self) -> Path:
        """Return the first undamaged checkpoint of best, last and previous. Raise `UserError` if there is none."""
        return self._whole(self.best_file, self.last_file, self.previous_file)

    def last(self) -> Path:
        """Return the first undamaged checkpoint of last, previous and best. Raise `UserError` if there is none."""
        return self._whole(self.last_file, self.previous_file, self.best_file)

    def has_checkpoint(self) -> bool:
        """Return whether there is a checkpoint to resume from, damaged or not."""
        return any(file.is_file() for file in (self.last_file, self.previous_file, self.best_file))

    def _whole(self, *files: Path) -> Path:
        """Return the first file that is not damaged. Print a line if it is not the first that exists."""
        damaged: list[str] = []
        for file in filter(Path.is_file, files):
            try:
                check_archive(file)
            except UserError as error:
                damaged.append(str(error))
                continue
            if damaged:
                say_once(f"ganlab: {damaged[0]}; {file} takes its place")
            return file
        if damaged:
            raise UserError(f"{damaged[0]}, and no other checkpoint takes its place")
        there = ", ".join(sorted(path.name for path in self.path.iterdir())) if self.path.is_dir() else ""
        raise UserError(
            f"`checkpoint` {self.path} has no checkpoints/last.ckpt or checkpoints/best.ckpt: "
            f"there is {there or 'nothing'}; name a run's folder or a .ckpt file"
        )

    def write_recipe(self, text: str) -> Path:
        """Write `recipe.yaml`, with the checksum of its lines as its last line."""
        return atomic_write(self.recipe_file, f"{text}{SEAL}{_checksum(text)}\n")

    def write_summary(self, summary: Mapping[str, Any]) -> Path:
        """Write `summary.json`. Raise `KeyError` if one of `SUMMARY_KEYS` is missing."""
        ordered = {key: summary[key] for key in SUMMARY_KEYS} | dict(summary)
        return atomic_write(self.summary_file, json.dumps(ordered, indent=2, default=str) + "\n")

    def leading_number(self) -> float | None:
        """Return the best value of the metric that chose the best checkpoint; None if no metric did."""
        summary = json.loads(self.summary_file.read_text(encoding="utf-8")) if self.summary_file.is_file() else {}
        return summary["best"]["value"] if summary.get("best") else None


NAME = re.compile(r"\w[\w.-]{0,99}")


def checked_name(name: Any, setting: str) -> str:
    """Return a name that becomes a folder. Raise `UserError` unless it has letters, digits, `_`, `-` and `.` only."""
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    shown = ascii(name)[:60] if isinstance(name, str) else f"a {type(name).__name__}"
    raise UserError(f"`{setting}` must be a name of letters, digits, _, - and ., 100 at most, got {shown}")


def check_links(path: str | Path) -> None:
    """Raise `UserError` if a run's folder has a link out of it: the run would then write outside its folder."""
    run = RunFolder.of(path)
    folder, whole = run.path, run.recipe_file.exists() or run.checkpoints.exists()
    for pattern in ("*", "*/*") if whole else ("samples", "samples/*"):
        for entry in folder.glob(pattern):
            if entry.is_symlink() and not entry.resolve().is_relative_to(folder.resolve()):
                raise UserError(f"{entry} is a link out of the run's folder: put what it stands for in its place")


def own_samples(file: Path, name: str) -> Path:
    """Return a path in the samples of a checkpoint's run. Raise `UserError` if a link leads out of its folder."""
    check_links(file)
    return RunFolder.of(file).samples / name


def find_checkpoint(path: str | Path) -> Path:
    """Return the checkpoint that a path or an address means. Raise `UserError` if there is none.

    It is the file itself, a run's best, else its last, or the weights of a published model, which `zoo:NAME` and
    `hf:USER/NAME` mean too.
    """
    if address := Address.read(path):
        return address.folder() / MODEL_FILE
    path = _existing(Path(path))
    if is_published(path):
        return path / MODEL_FILE
    return RunFolder(path).checkpoint() if path.is_dir() else path


def find_last(path: str | Path) -> Path:
    """Return the checkpoint to resume from: the file itself, or a run's last, else its best. Raise `UserError`."""
    if Address.read(path) or is_published(Path(path)) or Path(path).name == MODEL_FILE:
        raise UserError(
            f"`resume` {path} is a published model, without optimizers: start a new run from it by init={path}"
        )
    path = _existing(Path(path))
    return RunFolder(path).last() if path.is_dir() else path


def _existing(path: Path) -> Path:
    if path.exists():
        return path
    if path.parent == Path():
        raise UserError(f"`checkpoint` {path} does not exist in this folder: name a run's folder or a .ckpt file")
    nearby = sorted(entry.name for entry in path.parent.iterdir())[:8] if path.parent.is_dir() else []
    there = f"{path.parent} has {', '.join(nearby) or 'nothing'}" if path.parent.is_dir() else f"nor {path.parent}"
    raise UserError(f"`checkpoint` {path} does not exist ({there}): name a run's folder or a .ckpt file")


def _shared(recipe: Mapping[str, Any]) -> str:
    folder = os.environ.get(SHARED) or recipe.get("run_dir")
    if not folder:
        raise UserError("`run_dir` is needed where something else starts the processes: pass run_dir=FOLDER")
    return str(folder)


def saved_recipe(path: str | Path) -> dict[str, Any]:
    """Return the recipe of a run's folder or of a checkpoint without a folder. Raise `UserError`."""
    folder = RunFolder.of(path)
    if (recipe := _recipe_of(folder)) is not None:
        return recipe
    file = find_last(path)
    check_archive(file)
    import torch  # only here: it takes seconds to load

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        return dict(content["ganlab"]["recipe"])
    except Exception as error:
        raise UserError(
            f"`checkpoint` {file} is not one of ganlab's: {type(error).__name__} while reading it"
        ) from error


def _recipe_of(folder: RunFolder) -> dict[str, Any] | None:
    """Return the recipe in a run's folder. None if it is absent, torn or edited: then the checkpoint's is used."""
    file = folder.recipe_file
    if not file.is_file():
        return None
    if file.stat().st_size > LARGEST_RECIPE:
        raise UserError(f"{file} is no recipe: it has more than {LARGEST_RECIPE} bytes")
    if folder.has_checkpoint() and not _is_sealed(file.read_bytes()):
        say_once(f"ganlab: {file} is not as it was written: the checkpoint's recipe takes its place")
        return None
    return read_yaml(file)


def _is_sealed(content: bytes) -> bool:
    """Return whether a recipe's last line is the checksum of the lines before it."""
    text, seal, checksum = content.decode(errors="replace").rpartition(SEAL)
    return bool(seal) and checksum == f"{_checksum(text)}\n"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
