"""A run's `metrics.csv` as rows: dictionaries of what each line has. Plain Python."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """What is in the file, empty cells left out, everything as text; nothing if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: cell for name, cell in row.items() if name and cell} for row in csv.DictReader(file)]


def columns_of(rows: Iterable[Row], known: Iterable[str]) -> list[str]:
    """The columns there were, and new ones in the order of their appearance.

    >>> columns_of([{"b": 1}, {"c": 2, "b": 3}], ["a"])
    ['a', 'b', 'c']
    """
    names = dict.fromkeys(known)
    for row in rows:
        names.update(dict.fromkeys(row))
    return list(names)


def as_text(rows: Iterable[Row], columns: list[str], header: bool) -> str:
    """The rows as lines of a file with these columns."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _plain(value: Any) -> Any:
    """Whole numbers without a point, others with seven digits, which is what float32 has."""
    if isinstance(value, (str, int)):
        return value
    return int(value) if float(value).is_integer() else f"{float(value):.7g}"
