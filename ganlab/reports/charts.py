"""The charts of a page, as plain values that its script draws: sections of charts, charts of lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ganlab.reports.differences import grouped
from ganlab.reports.protocols import by_protocol, titled
from ganlab.reports.stored import Curve, StoredRun

MOST_POINTS = 400  # of a line


@dataclass(frozen=True)
class Line:
    """One line of a chart. colour: its number in the page's palette."""

    label: str
    colour: int
    points: Curve

    def plain(self) -> dict[str, Any]:
        """Return the line as the script reads it."""
        kept = thinned(self.points)
        return {
            "label": self.label,
            "colour": self.colour,
            "x": [round(x) for x, _ in kept],
            "y": [float(f"{y:.6g}") for _, y in kept],
        }


@dataclass(frozen=True)
class Chart:
    """Lines over images seen."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Section:
    """Charts under one title."""

    title: str
    charts: list[Chart] = field(default_factory=list)


class Kind(NamedTuple):
    """A chart of one run: its section, its title, and the numbers on it."""

    section: str
    title: str
    wanted: Callable[[str], bool]


def _terms(side: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(f"{side}/") and "gradient" not in name


def _starts(*prefixes: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(prefixes)


KINDS = (
    Kind("Losses", "Discriminator, by term", _terms("discriminator")),
    Kind("Losses", "Generator, by term", _terms("generator")),
    Kind("Losses", "Norm of the gradients", lambda name: name.endswith("/gradient_norm")),
    Kind(
        "Quality",
        "Precision, recall, density, coverage",
        _starts("quality/precision", "quality/recall", "quality/density", "quality/coverage"),
    ),
    Kind("Held-out pictures", "Accuracy and match", _starts("held_out/realism_accuracy", "held_out/match_accuracy")),
    Kind("Held-out pictures", "Divergence", lambda name: name.startswith("held_out/") and "divergence" in name),
    Kind("Held-out pictures", "Further numbers", _starts("held_out/")),
    Kind("Mode collapse", "What the averaged generator has lost, as a share", _starts("collapse/averaged/")),
    Kind("Mode collapse", "What the live generator has lost, as a share", _starts("collapse/live/")),
    Kind("Mode collapse", "Evidence: an alarm at 1", _starts("collapse/evidence")),
    Kind("Speed", "Images per second", _starts("throughput/")),
)
"""The charts of one run. A number is on the first that wants it. A number of the quality has a chart of its own."""
ORDER = ("Quality", "Losses", "Held-out pictures", "Mode collapse", "Speed", "Others")
HIDDEN = ("collapse/alarm", "collapse/alarms")


def thinned(points: Curve) -> Curve:
    """Return at most about `MOST_POINTS` points: of each stretch, the lowest and the highest, and both ends."""
    if len(points) <= MOST_POINTS:
        return points
    size = -(-len(points) // (MOST_POINTS // 2))
    kept = {0, len(points) - 1}
    for start in range(0, len(points), size):
        stretch = range(start, min(start + size, len(points)))
        kept |= {min(stretch, key=lambda i: points[i][1]), max(stretch, key=lambda i: points[i][1])}
    return [points[i] for i in sorted(kept)]


def charts_of_run(run: StoredRun) -> list[Section]:
    """Return the charts of one run, by side and term."""
    left = {name: curve for name, curve in run.curves.items() if name not in HIDDEN}
    found: dict[str, Section] = {title: Section(title) for title in ORDER}
    for kind in KINDS:
        lines = {name: left.pop(name) for name in list(left) if kind.wanted(name)}
        if lines:
            found[kind.section].charts.append(Chart(kind.title, _lines(lines)))
    for name, curve in left.items():
        section = "Quality" if name.startswith("quality/") else "Others"
        found[section].charts.append(Chart(name.removeprefix("quality/"), [Line(name, 0, curve)]))
    leading = run.best["name"].removeprefix("quality/") if run.best else ""
    found["Quality"].charts.sort(key=lambda chart: chart.title != leading)
    return [section for section in found.values() if section.charts]


def _lines(curves: dict[str, Curve]) -> list[Line]:
    names = list(curves)
    same = len({name.rpartition("/")[0] for name in names}) == 1
    labels = [name.rpartition("/")[2] if same else name for name in names]
    return [Line(label, i, curves[name]) for i, (label, name) in enumerate(zip(labels, names, strict=True))]


def charts_of_runs(runs: Sequence[StoredRun], labels: Sequence[str]) -> list[Section]:
    """Return a chart for each number and protocol, with a line for each run. Runs of one row have one colour."""
    colours = {id(run): i for i, group in enumerate(grouped(runs)) for run in group.runs}
    named = {id(run): label for run, label in zip(runs, labels, strict=True)}
    found: dict[str, Section] = {title: Section(title) for title in ORDER}
    for name in dict.fromkeys(name for run in runs for name in run.curves if name not in HIDDEN):
        for title, members in _by_title(runs, name):
            lines = [Line(named[id(run)], colours[id(run)], run.curves[name]) for run in members]
            found[_section(name)].charts.append(Chart(title, lines))
    return [section for section in found.values() if section.charts]


def _by_title(runs: Sequence[StoredRun], name: str) -> Iterator[tuple[str, list[StoredRun]]]:
    stamps = by_protocol([run for run in runs if name in run.curves], name)
    yield from zip(titled(name, list(stamps)), stamps.values(), strict=True)


def _section(name: str) -> str:
    if name.startswith("quality/"):
        return "Quality"
    return next((kind.section for kind in KINDS if kind.wanted(name)), "Others")
