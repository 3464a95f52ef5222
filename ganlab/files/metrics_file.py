"""Read and write a run's `metrics.csv` as rows: dictionaries of the non-empty cells. Plain Python."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Return the complete rows of the file as text, without empty cells; an empty list if there is no file.

    A row is complete if its line has ended, and has a cell for each column and an iteration. A power cut may leave half
    a line, or bytes that are no text.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().decode(errors="replace").replace("\0", "").split("\n")[:-1]
    return list(_whole(csv.reader(lines)))


def _whole(lines: Iterable[list[str]]) -> Iterator[Row]:
    columns: list[str] = []
    for cells in lines:
        if not columns:
            columns = cells if "iteration" in cells else []
            continue
        row = {name: cell for name, cell in zip(columns, cells, strict=False) if name and cell}
        if len(cells) == len(columns) and row.get("iteration", "").isdecimal():
            yield row


def is_whole(path: Path) -> bool:
    """Return whether each line of the file, except its header, is a row of `read_rows`."""
    return path.read_bytes().count(b"\n") == len(read_rows(path)) + 1 and path.read_bytes().endswith(b"\n")


def columns_of(rows: Iterable[Row], known: Iterable[str]) -> list[str]:
    """Return the known columns, followed by new ones in the order of their appearance.

    >>> columns_of([{"b": 1}, {"c": 2, "b": 3}], ["a"])
    ['a', 'b', 'c']
    """
    names = dict.fromkeys(known)
    for row in rows:
        names.update(dict.fromkeys(row))
    return list(names)


def as_text(rows: Iterable[Row], columns: list[str], header: bool) -> str:
    """Return the rows as lines of a file with these columns."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _plain(value: Any) -> Any:
    """Return whole numbers without a decimal point, others with seven digits, the precision of float32."""
    if isinstance(value, (str, int)):
        return value
    return int(value) if float(value).is_integer() else f"{float(value):.7g}"
