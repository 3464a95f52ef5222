"""Captions of a folder of pictures: one table (`metadata.jsonl`, `captions.csv`) or `name.txt` beside `name.jpg`.

Reads text only; what a picture is and whether it can be decoded is no matter here.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pytorch_lightning.utilities import rank_zero_warn

from ganlab.errors import UserError

TABLES = ("metadata.jsonl", "metadata.csv", "captions.jsonl", "captions.csv")
TEXT = ("text", "caption")  # the columns that may hold it; Hugging Face's ImageFolder says `text`
NAMED = 3  # how many culprits a message names

Captions = dict[str, "list[str]"]
"""Path relative to the root, with forward slashes -> its captions, at least one."""


def some(names: Sequence[str]) -> str:
    """The first few of many, for a message: "a.jpg, b.jpg, c.jpg and 4 more"."""
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def read_captions(root: Path, files: Sequence[str]) -> Captions:
    """Captions of `files` (paths relative to `root`); empty where there are none at all.

    A table wins over text files. Raises UserError for a table that cannot be read or that matches no picture; warns
    of entries without a picture and of pictures without a caption.
    """
    tables = [path for name in TABLES for path in sorted(root.rglob(name))]
    captions = _of_tables(root, tables, set(files)) if tables else _of_texts(root, files)
    bare = [file for file in files if file not in captions]
    if captions and bare:
        rank_zero_warn(f"{len(bare)} of {len(files)} pictures have no caption and are left out: {some(bare)}")
    return captions


def _of_texts(root: Path, files: Sequence[str]) -> Captions:
    found = {}
    for file in files:
        path = (root / file).with_suffix(".txt")
        lines = _lines(path) if path.is_file() else []
        if lines:
            found[file] = lines
    return found


def _of_tables(root: Path, tables: Sequence[Path], files: set[str]) -> Captions:
    found: Captions = {}
    lost: list[str] = []
    for table in tables:
        folder = PurePosixPath(table.relative_to(root).parent.as_posix())
        for name, text in _rows(table):
            file = str(folder / PurePosixPath(name.replace("\\", "/")))
            if file in files:
                found.setdefault(file, []).append(text)
            else:
                lost.append(name)
    _complain(tables, found, lost)
    return found


def _complain(tables: Sequence[Path], found: Captions, lost: Sequence[str]) -> None:
    names = some([str(table) for table in tables])
    if not found:
        entries = f"its entries name {some(lost)}" if lost else "it has no entries"
        raise UserError(f"{names} matches no picture: {entries}; `file_name` must be a path relative to the table")
    if lost:
        rank_zero_warn(f"{names} has {len(lost)} captions of files that are not there: {some(lost)}")


def _rows(table: Path) -> Iterator[tuple[str, str]]:
    """(file name, caption) of each row that has a caption; a list of captions counts as several rows."""
    rows = _jsonl(table) if table.suffix == ".jsonl" else _csv(table)
    for number, row in rows:
        column = next((name for name in TEXT if name in row), None)
        if "file_name" not in row or column is None:
            keys = ", ".join(map(str, row))
            raise UserError(f"{table}, line {number}: columns `file_name` and `text` are needed, got: {keys}")
        texts = row[column] if isinstance(row[column], list) else [row[column]]
        for text in texts:
            if text and str(text).strip():
                yield str(row["file_name"]), " ".join(str(text).split())


def _jsonl(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_text(table).split("\n"), start=1):
        if line.strip():
            try:
                yield number, dict(json.loads(line))
            except (TypeError, ValueError) as error:
                raise UserError(f"{table}, line {number} is not a JSON object: {error}") from error


def _csv(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(_text(table), newline=""), skipinitialspace=True)
    try:
        for row in reader:
            yield reader.line_num, {key: value for key, value in row.items() if key is not None}
    except csv.Error as error:
        raise UserError(f"{table}, line {reader.line_num} is not comma separated: {error}") from error


def _lines(path: Path) -> list[str]:
    return [" ".join(line.split()) for line in _text(path).splitlines() if line.strip()]


def _text(path: Path) -> str:
    """UTF-8 with or without a byte order mark; raises UserError for anything else."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from error
