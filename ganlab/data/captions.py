"""Captions of a folder of pictures: tables (tables.py), or a text file beside each picture.

A picture's text file is `x.png.txt`, `x.txt`, `x.png.caption` or `x.caption`, the first there is, in any case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from pytorch_lightning.utilities import rank_zero_warn

from ganlab.data.tables import TABLES, is_table, one_line, read_text, rows
from ganlab.data.walk import TEXT_SUFFIXES, listing, printable, some
from ganlab.errors import UserError

Captions = dict[str, "list[str]"]
"""Path relative to the root, with forward slashes -> its captions, at least one."""


def read_captions(root: Path, files: Sequence[str], texts: Sequence[str] | None = None) -> Captions:
    """Return the captions of `files` (paths relative to `root`); empty if there are none at all.

    `texts`: the folder's tables and text files if they are known. By default the folder is listed.

    A table takes precedence over text files. Warn of entries without a picture, of pictures without a caption and of
    text files that are not read.

    Raises:
        UserError: a table or text file cannot be read, or the tables match no picture.
    """
    texts = listing(root).texts if texts is None else texts
    tables = [path for path in texts if is_table(path)]
    beside = {} if tables else _text_files(files, texts)
    captions = _of_tables(root, tables, set(files)) if tables else _of_texts(root, beside)
    _name_unread(root, sorted({*texts} - {*tables} - {*beside.values()}))
    bare = [file for file in files if file not in captions]
    if captions and bare:
        rank_zero_warn(f"{len(bare)} of {len(files)} pictures have no caption and are left out: {some(bare)}")
    return captions


def _text_files(files: Sequence[str], texts: Sequence[str]) -> dict[str, str]:
    """Return each picture's text file, for those that have one."""
    there = {_lower_suffix(path): path for path in texts}
    found = {file: next((there[name] for name in _beside(file) if name in there), None) for file in files}
    return {file: path for file, path in found.items() if path is not None}


def _of_texts(root: Path, beside: Mapping[str, str]) -> Captions:
    found = {file: _lines(root / path) for file, path in beside.items()}
    return {file: lines for file, lines in found.items() if lines}


def _name_unread(root: Path, texts: list[str]) -> None:
    if texts:
        rank_zero_warn(
            f"{len(texts)} text files in {root} are not read as captions, which are `x.txt` beside `x.png` or one of "
            f"{', '.join(TABLES)}: {some(texts)}"
        )


def _beside(file: str) -> Iterator[str]:
    """Yield the paths that may hold a picture's captions, the likeliest first."""
    stem = file[: len(file) - len(PurePosixPath(file).suffix)]
    for suffix in TEXT_SUFFIXES:
        yield from (file + suffix, stem + suffix)


def _lower_suffix(path: str) -> str:
    suffix = PurePosixPath(path).suffix
    return path[: len(path) - len(suffix)] + suffix.lower()


def _of_tables(root: Path, tables: Sequence[str], files: set[str]) -> Captions:
    found: Captions = {}
    lost: list[str] = []
    for table in tables:
        folder = PurePosixPath(table).parent
        for name, text in rows(root / table):
            file = str(folder / PurePosixPath(name.replace("\\", "/")))
            if file in files:
                found.setdefault(file, []).append(text)
            else:
                lost.append(name)
    _complain([str(root / table) for table in tables], found, lost)
    return found


def _complain(tables: list[str], found: Captions, lost: list[str]) -> None:
    names = some(tables)
    if not found:
        entries = f"its entries name {some(lost)}" if lost else "it has no entries"
        raise UserError(f"{names} matches no picture: {entries}; `file_name` must be a path relative to the table")
    if lost:
        rank_zero_warn(f"{names} has {len(lost)} captions of files that are not there: {some(lost)}")


def _lines(path: Path) -> list[str]:
    lines = (one_line(line, printable(str(path))) for line in read_text(path).split("\n"))
    return [line for line in lines if line]
