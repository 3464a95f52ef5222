"""Read tables of captions, `metadata.jsonl` or `captions.csv`: rows of a file's name and its captions.

An ambiguous row is refused with the table's name and the line. A caption is never cut or guessed.
"""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ganlab.errors import UserError

TABLES = ("metadata.jsonl", "metadata.csv", "captions.jsonl", "captions.csv")
NAME = "file_name"
TEXT = ("text", "caption")  # the columns that may hold the caption; Hugging Face's ImageFolder uses `text`
LONGEST = 2**31 - 1  # characters in a cell of a CSV file; the csv module itself stops at 131,072


def is_table(path: str) -> bool:
    """Return whether a file's name is that of a table, in upper or lower case."""
    return PurePosixPath(path).name.lower() in TABLES


def entries(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of the line and the columns of each row. Raise `UserError` if the table cannot be read."""
    yield from _json_lines(table) if table.suffix.lower() == ".jsonl" else _csv(table)


def rows(table: Path) -> Iterator[tuple[str, str]]:
    """Yield (file name, caption) of each row that has a caption. A list of captions counts as several rows.

    Raises:
        UserError: the table cannot be read, a row lacks a column, or a value is not text.
    """
    for number, row in entries(table):
        where = f"{table}, line {number}"
        column = next((name for name in TEXT if name in row), None)
        if NAME not in row or column is None:
            keys = ", ".join(map(str, row))[:200]
            raise UserError(f"{where}: columns `{NAME}` and `text` are needed, got: {keys}")
        texts = row[column] if isinstance(row[column], list) else [row[column]]
        if any(text is not None and not isinstance(text, str) for text in texts):
            raise UserError(f"{where}: `{column}` must be text or a list of texts, got {str(row[column])[:60]}")
        captions = [caption for text in texts if (caption := one_line(text or "", where))]
        if captions and not isinstance(row[NAME], str):
            raise UserError(f"{where}: `{NAME}` must be text, got {str(row[NAME])[:60]}")
        for caption in captions:
            yield row[NAME], caption


def one_line(text: str, where: str) -> str:
    """Return a caption with its white space and control characters as single spaces.

    Raises:
        UserError: the text has half a surrogate pair, which is no character.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UserError(f"{where}: the caption has half a surrogate pair: write it as UTF-8")
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in text)
    return " ".join(text.split())


def read_text(path: Path) -> str:
    """Return a file's text: UTF-8, with or without a byte order mark.

    Raises:
        UserError: the file cannot be opened, or is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if "\0" in text:
        raise UserError(f"{path} is not UTF-8 text (it has NUL bytes; UTF-16 has): save it as UTF-8")
    return text


def _json_lines(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(read_text(table).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = "nested too deep" if isinstance(error, RecursionError) else error
            raise UserError(f"{table}, line {number} is not a JSON object: {reason}") from error
        if not isinstance(row, dict):
            raise UserError(f"{table}, line {number} is not a JSON object: it is {line.strip()[:60]}")
        yield number, row


def _csv(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield rows with their line numbers. It is strict: a quote that is not closed would swallow the rows after it."""
    text = read_text(table)
    lines = text.split("\n")
    csv.field_size_limit(LONGEST)
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        columns = _columns(reader, table)
        start = reader.line_num
        for row in reader:
            _join_overflow(row, columns, lines[start : reader.line_num], f"{table}, line {reader.line_num}")
            start = reader.line_num
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(
            f"{table}, line {reader.reader.line_num} is not comma separated: {error}; "
            "write a quote inside a quoted text twice"
        ) from error


def _columns(reader: csv.DictReader[str], table: Path) -> list[str]:
    columns = list(reader.fieldnames or ())
    twice = next((name for name in (NAME, *TEXT) if columns.count(name) > 1), None)
    if twice:
        raise UserError(f"{table}, line 1: there are several columns `{twice}`: keep one")
    return columns


def _join_overflow(row: dict[Any, Any], columns: list[str], lines: list[str], where: str) -> None:
    """Restore the unquoted commas of a caption in the last column, in place.

    The row's own line is cut at its first commas, so the caption is as it was typed.

    Raises:
        UserError: the row has more cells than the header, and the comma's cell is ambiguous.
    """
    extra = row.pop(None, [])
    if not extra:
        return
    text = "".join(line for line in lines if line.strip())
    if columns[-1] not in TEXT or '"' in text:
        raise UserError(
            f"{where} has {len(columns) + len(extra)} cells and the header {len(columns)}: "
            'put a text that has commas in "quotes"'
        )
    row[columns[-1]] = text.split(",", len(columns) - 1)[-1]
