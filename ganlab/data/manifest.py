"""Tables without captions: classes by a column `label`, and the manifest of pictures that `ganlab.sample` drew.

The layout is that of Hugging Face's ImageFolder: one `metadata.jsonl` beside the pictures. A table with a column `text`
or `caption` gives captions (captions.py). A table with a column `label` and no captions gives classes. A manifest has a
column `checkpoint`. It lists all pictures of its folder, so a sheet of samples beside them is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pytorch_lightning.utilities import rank_zero_warn

from ganlab.data.tables import NAME, TEXT, entries, is_table
from ganlab.data.walk import listing, some
from ganlab.errors import UserError

LABEL, CHECKPOINT = "label", "checkpoint"


class Manifest(NamedTuple):
    """`files`: the pictures to read. `labels`: their classes by file. `captioned`: whether captions are to be read."""

    files: list[str]
    labels: dict[str, str]
    captioned: bool


def read_manifest(root: Path, files: Sequence[str]) -> Manifest:
    """Return which of `files` (paths relative to `root`) are read, and the classes that tables give them.

    Warn of pictures that a table of classes does not list, and of rows without a picture.

    Raises:
        UserError: a table cannot be read, or a label is neither text nor a whole number.
    """
    tables = [path for path in listing(root).texts if is_table(path)]
    kinds = {table: kind for table in tables if (kind := _kind(root / table))}
    if not kinds or len(kinds) < len(tables):
        return Manifest(list(files), {}, True)
    rows = ((kind, *row) for table, kind in kinds.items() for row in _rows(root, table).items())
    listed = {file: label for kind, file, label in rows if label or kind == CHECKPOINT}
    there = [file for file in files if file in listed]
    _complain(root, list(kinds), listed, files, complete={*kinds.values()} <= {CHECKPOINT})
    captioned = all(_has_captions(root / table) for table in kinds)
    labels = {file: listed[file] for file in there if listed[file]}
    return Manifest(there, labels if len(labels) == len(there) else {}, captioned)


def _first(table: Path) -> dict[str, Any]:
    return next((row for _, row in entries(table)), {})


def _kind(table: Path) -> str:
    """Return the column that makes a table more than captions: `checkpoint`, `label`, or "" for neither."""
    columns = _first(table)
    if CHECKPOINT in columns:
        return CHECKPOINT
    return LABEL if LABEL in columns and not any(name in columns for name in TEXT) else ""


def _has_captions(table: Path) -> bool:
    return any(name in _first(table) for name in TEXT)


def _rows(root: Path, table: str) -> dict[str, str]:
    """Return the label of each file in a table, "" without one."""
    folder, found = PurePosixPath(table).parent, {}
    for number, row in entries(root / table):
        name, label = row.get(NAME), row.get(LABEL)
        if not isinstance(name, str):
            raise UserError(f"{root / table}, line {number}: `{NAME}` must be text, got {str(name)[:60]}")
        if isinstance(label, bool) or not isinstance(label, str | int | None):
            raise UserError(f"{root / table}, line {number}: `{LABEL}` must be text or a whole number, got {label!r}")
        found[str(folder / PurePosixPath(name.replace("\\", "/")))] = "" if label is None else str(label)
    return found


def _complain(root: Path, tables: list[str], listed: dict[str, str], files: Sequence[str], complete: bool) -> None:
    """Warn of pictures and rows that do not belong together. Raise `UserError` if no row has a picture."""
    names = some([str(root / table) for table in tables])
    there = {*files}
    lost = [file for file in listed if file not in there]
    if len(lost) == len(listed):
        raise UserError(f"{names} matches no picture: its rows name {some(lost)}")
    if lost:
        rank_zero_warn(f"{names} has {len(lost)} rows of files that are not there: {some(lost)}")
    bare = [file for file in files if file not in listed]
    if bare and not complete:
        rank_zero_warn(f"{len(bare)} of {len(files)} pictures have no label and are left out: {some(bare)}")
