"""Tables of runs: a row for each recipe, mean and sample standard deviation over its seeds, a column for each protocol.

Numbers of unlike protocols are never in one column. They stand in columns of their own, named by what differs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ganlab.config.words import short_keys
from ganlab.errors import UserError, suggestion
from ganlab.reports.differences import Group, grouped
from ganlab.reports.protocols import by_protocol, differing_fields, titled
from ganlab.reports.stored import StoredRun

VALUES = ("best", "last")


@dataclass(frozen=True)
class Cell:
    """The values of one number over the seeds of a row."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Return the mean."""
        return statistics.mean(self.values)

    @property
    def deviation(self) -> float | None:
        """Return the sample standard deviation, or None for fewer than two values."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def __str__(self) -> str:
        if not self.values:
            return ""
        return _short(self.mean) if self.deviation is None else f"{_short(self.mean)} ± {self.deviation:.2g}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 or value == int(value) else f"{value:.4g}"


@dataclass(frozen=True)
class Column:
    """One number by one protocol. read: its value for a run, None if the run has none or by another protocol."""

    title: str
    number: str
    protocol: Mapping[str, str]
    read: Callable[[StoredRun], float | None]


@dataclass(frozen=True)
class Table:
    """Rows of groups, columns of numbers, and notes on what does not compare."""

    groups: Sequence[Group]
    columns: Sequence[Column]
    notes: Sequence[str] = field(default_factory=tuple)

    def cell(self, group: Group, column: Column) -> Cell:
        """Return the values of a number in a row."""
        found = (column.read(run) for run in group.runs)
        return Cell(tuple(value for value in found if value is not None))

    @property
    def keys(self) -> dict[str, str]:
        """Return the settings that name rows, with their short forms."""
        return short_keys(dict.fromkeys(key for group in self.groups for key in group.named))

    def header(self) -> list[str]:
        """Return the titles of all columns."""
        return [*self.keys.values(), "n", *(column.title for column in self.columns)]

    def lines(self) -> Iterator[list[str]]:
        """Yield the cells of each row as text."""
        for group in self.groups:
            cells = (self._said(self.cell(group, column), len(group.runs)) for column in self.columns)
            yield [*(group.named.get(key, "") for key in self.keys), str(len(group.runs)), *cells]

    @staticmethod
    def _said(cell: Cell, runs: int) -> str:
        """Return a cell as text. It says how many values it has if not every run of the row has one."""
        return f"{cell} (n={len(cell.values)})" if 0 < len(cell.values) < runs else str(cell)


def make_table(runs: Sequence[StoredRun], numbers: Sequence[str] = (), values: Sequence[str] = VALUES) -> Table:
    """Return the table of runs. numbers: names, `quality/` may be left out; empty for all of the quality.

    Raise `UserError` for a number that no run has.
    """
    chosen = [_full_name(runs, name) for name in numbers] or quality_numbers(runs)
    notes: list[str] = []
    columns = [column for name in chosen for column in _columns_of(runs, name, values, notes)]
    groups = grouped(runs)
    return Table(groups, [*columns, *_costs(runs, notes)], [*notes, *_unequal(groups)])


def quality_numbers(runs: Sequence[StoredRun]) -> list[str]:
    """Return the numbers of the quality that any of the runs has, the leading ones first."""
    leading = [str(run.best["name"]) for run in runs if run.best]
    measured = [name for run in runs for name in (*run.summary.get("metrics", ()), *run.curves)]
    return list(
        dict.fromkeys([*leading, *(name for name in measured if name.startswith("quality/") and name.count("/") == 1)])
    )


def _full_name(runs: Sequence[StoredRun], name: str) -> str:
    known = dict.fromkeys(one for run in runs for one in (*run.summary.get("metrics", ()), *run.curves))
    found = next((one for one in (name, f"quality/{name}", f"held_out/{name}") if one in known), None)
    if found is None:
        raise UserError(f"`numbers`: no run has {name}: {suggestion(name, list(known))}")
    return found


def _columns_of(runs: Sequence[StoredRun], name: str, values: Sequence[str], notes: list[str]) -> Iterator[Column]:
    """Yield the columns of a number: for each protocol its best and last values."""
    stamps = by_protocol(runs, name)
    if len(stamps) > 1:
        fields = ", ".join(differing_fields(list(stamps)))
        notes.append(f"{name.removeprefix('quality/')} was measured differently: a column for each {fields}")
    for title, (stamp, members) in zip(titled(name, list(stamps)), stamps.items(), strict=True):
        for which in values:
            yield Column(f"{title} {which}", name, dict(stamp), _reader(name, which, {id(run) for run in members}))


def _reader(name: str, which: str, members: set[int]) -> Callable[[StoredRun], float | None]:
    def read(run: StoredRun) -> float | None:
        if id(run) not in members:
            return None
        return run.at_best(name) if which == "best" else run.last(name)

    return read


# Costs ------------------------------------------------------------------------------------------------------------


def _costs(runs: Sequence[StoredRun], notes: list[str]) -> Iterator[Column]:
    """Yield seconds, images seen and peak memory. Seconds and memory of unlike machines are in columns of their own."""
    yield Column("images seen", "images_seen", {}, lambda run: float(run.images_seen))
    devices = dict.fromkeys(device_of(run) for run in runs)
    if len(devices) > 1:
        notes.append(f"seconds and memory are of different devices: {', '.join(devices)}")
    for device in devices:
        said = f" ({device})" if len(devices) > 1 else ""
        yield Column(
            f"seconds{said}", "seconds", {"device": device}, _on(device, lambda run: run.summary.get("seconds"))
        )
        yield Column(f"peak GB{said}", "memory", {"device": device}, _on(device, peak_memory))


def device_of(run: StoredRun) -> str:
    """Return the name of the device that the run was trained on."""
    return str((run.summary.get("versions") or {}).get("device", "unknown device"))


def peak_memory(run: StoredRun) -> float | None:
    """Return the peak memory in GB: the accelerator's if there was one, else the process's."""
    memory = run.summary.get("memory") or {}
    found = memory.get("device") or memory.get("process")
    return found / 1e9 if found else None


def _on(device: str, read: Callable[[StoredRun], Any]) -> Callable[[StoredRun], float | None]:
    return lambda run: None if device_of(run) != device or (value := read(run)) is None else float(value)


def _unequal(groups: Sequence[Group]) -> Iterator[str]:
    """Yield a note on each row whose runs are of unequal length, have one seed twice, or have not ended."""
    for group in groups:
        seen = sorted({run.images_seen for run in group.runs})
        seeds = [run.seed for run in group.runs]
        if len(seen) > 1:
            yield f"{group.title}: runs of unequal length, {seen[0]:,} to {seen[-1]:,} images seen"
        if len(set(map(str, seeds))) < len(seeds):
            yield f"{group.title}: a seed occurs twice: its runs are not independent"
        if open_ := [run for run in group.runs if not run.ended]:
            yield f"{group.title}: {len(open_)} of {len(group.runs)} runs did not take all of their iterations"
