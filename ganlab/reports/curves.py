"""Curves of several runs: the mean over seeds with a band of one deviation, a panel for each number and protocol."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ganlab.reports.differences import Group, grouped
from ganlab.reports.protocols import by_protocol, titled
from ganlab.reports.stored import Curve, StoredRun

WIDTH, HEIGHT, ACROSS = 5.2, 3.4, 2
Panel = tuple[str, list[tuple[Group, list[Curve]]]]


def band(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return x, mean and sample standard deviation (None for one curve) at the points of all curves.

    The range is the one that all curves cover. Between its points a curve is a straight line.

    >>> x, mean, deviation = band([[(0, 0), (10, 10)], [(0, 2), (10, 12)]])
    >>> mean.tolist(), deviation.round(3).tolist()
    ([1.0, 11.0], [1.414, 1.414])
    """
    arrays = [np.array(_last_pass(curve), float).T for curve in curves]
    low, high = max(x[0] for x, _ in arrays), min(x[-1] for x, _ in arrays)
    grid = np.unique(np.concatenate([x[(x >= low) & (x <= high)] for x, _ in arrays]))
    values = np.stack([np.interp(grid, x, y) for x, y in arrays])
    return grid, values.mean(0), values.std(0, ddof=1) if len(values) > 1 else None


def _last_pass(curve: Curve) -> Curve:
    """Return the points that were not abandoned: a run that went back passes some images twice.

    >>> _last_pass([(1, 5), (3, 6), (4, 7), (2, 8), (3, 9)])
    [(1, 5), (2, 8), (3, 9)]
    """
    kept: Curve = []
    for point in reversed(curve):
        if not kept or point[0] < kept[-1][0]:
            kept.append(point)
    return kept[::-1]


def panels(runs: Sequence[StoredRun], numbers: Sequence[str]) -> Iterator[Panel]:
    """Yield a title and the curves of each group for each number by each protocol."""
    groups = grouped(runs)
    for name in numbers:
        stamps = by_protocol(runs, name)
        for title, members in zip(titled(name, list(stamps)), stamps.values(), strict=True):
            kept = {id(run) for run in members}
            curves = [
                (group, [run.curves[name] for run in group.runs if id(run) in kept and name in run.curves])
                for group in groups
            ]
            if shown := [(group, lines) for group, lines in curves if lines]:
                yield title, shown


def draw(runs: Sequence[StoredRun], numbers: Sequence[str], form: str = "png") -> bytes | None:
    """Return a figure of the numbers' curves as a file of this form; None if there is nothing to draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wanted = list(panels(runs, numbers))
    if not wanted:
        return None
    columns = min(ACROSS, len(wanted))
    rows = -(-len(wanted) // columns)
    figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    names = {group.title: i for i, group in enumerate(grouped(runs))}
    for axes, (title, shown) in zip(grid, wanted, strict=False):
        _draw_panel(axes, title, shown, names)
    for axes in grid[len(wanted) :]:
        axes.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form)
    return buffer.getvalue()


def _draw_panel(axes: Any, title: str, shown: Sequence[tuple[Group, list[Curve]]], names: dict[str, int]) -> None:
    for group, curves in shown:
        x, mean, deviation = band(curves)
        colour = f"C{names[group.title] % 10}"
        axes.plot(x, mean, color=colour, label=f"{group.title} (n={len(curves)})", marker="." if len(x) < 3 else None)
        if deviation is not None:
            axes.fill_between(x, mean - deviation, mean + deviation, color=colour, alpha=0.2, linewidth=0)
    axes.set_title(title.replace("$", r"\$"), fontsize=10)
    axes.set_xlabel("images seen", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8, frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
