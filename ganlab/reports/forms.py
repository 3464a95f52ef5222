"""The forms of a table: printed, in Markdown, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from ganlab.reports.tables import Cell, Table


def as_markdown(table: Table) -> str:
    """Return the table in Markdown, with its notes."""
    rows = [table.header(), *table.lines()]
    lines = [f"| {' | '.join(map(_in_markdown, row))} |" for row in rows]
    names = len(table.keys)
    rule = "|".join(["---"] * names + ["---:"] * (len(table.header()) - names))
    notes = [f"- {note}" for note in table.notes]
    below = ["", "Mean ± sample standard deviation over n seeds.", *(["", *notes] if notes else [])]
    return "\n".join([lines[0], f"|{rule}|", *lines[1:], *below]) + "\n"


def _in_markdown(cell: str) -> str:
    """Return text without signs that end a cell or begin HTML."""
    return cell.replace("|", "\\|").replace("<", "&lt;")


def as_csv(table: Table) -> str:
    """Return the table as CSV: mean, deviation and count of each number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    parts = [f"{column.title}{part}" for column in table.columns for part in ("", " deviation", " n")]
    writer.writerow([*table.keys.values(), "runs", *parts])
    for group in table.groups:
        cells = [table.cell(group, column) for column in table.columns]
        numbers = [one for cell in cells for one in _numbers(cell)]
        writer.writerow([*(group.named.get(key, "") for key in table.keys), len(group.runs), *numbers])
    return out.getvalue()


def _numbers(cell: Cell) -> list[Any]:
    if not cell.values:
        return ["", "", 0]
    return [f"{cell.mean:.7g}", "" if cell.deviation is None else f"{cell.deviation:.7g}", len(cell.values)]


def as_json(table: Table) -> str:
    """Return the table as JSON: rows with their runs, and each number with its values and protocol."""
    rows = [
        {
            "named": group.named,
            "runs": [str(run.folder.path) for run in group.runs],
            "seeds": [run.seed for run in group.runs],
            "numbers": {column.title: _plain(table.cell(group, column)) for column in table.columns},
        }
        for group in table.groups
    ]
    protocols = {column.title: dict(column.protocol) for column in table.columns}
    return json.dumps({"rows": rows, "protocols": protocols, "notes": list(table.notes)}, indent=2, default=str) + "\n"


def _plain(cell: Cell) -> dict[str, Any]:
    mean = cell.mean if cell.values else None
    return {
        "mean": mean,
        "deviation": cell.deviation if cell.values else None,
        "n": len(cell.values),
        "values": list(cell.values),
    }


def show(table: Table) -> None:
    """Print the table and its notes. A table that is wider than the terminal has its rows and columns exchanged."""
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    console = Console(soft_wrap=True)
    rows = [table.header(), *table.lines()]
    names = len(table.keys)
    if _width(rows) >= console.width:
        rows, names = [list(row) for row in zip(*rows, strict=True)], 1
    console.width = max(console.width, _width(rows) + 1)  # no cell is cut off
    drawn = Drawn(caption="mean ± sample standard deviation over n seeds", caption_justify="left")
    for i, title in enumerate(rows[0]):
        drawn.add_column(Text(title), justify="left" if i < names else "right", no_wrap=True)
    for row in rows[1:]:
        drawn.add_row(*map(Text, row))
    console.print(drawn)
    for note in table.notes:
        console.print(f"- {note}", markup=False, highlight=False)


def _width(rows: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 3 for column in zip(*rows, strict=True))


FORMS: dict[str, Callable[[Table], str]] = {"markdown": as_markdown, "csv": as_csv, "json": as_json}
