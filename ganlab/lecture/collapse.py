"""A collapsing generator raises an alarm, healthy ones raise none, and a rollback saves a run.

The vanilla game on emoji of 16 pixels, in three forms: as in the recipe (R1); without penalty at rates so high that it
collapses; with a discriminator that stops learning. The detector measures every thousand images. FID is measured as
often, to see when it has doubled.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ganlab.files.run_folder import RunFolder
from ganlab.lecture import drawing
from ganlab.lecture.runs import summary, trained

EVERY = 1_000  # images between two measurements
COLUMNS = 3  # of the figure
COMMON = (
    *("recipe=vanilla", "data.size=16", "network=lighter", "batch_size=32", "latent_dim=64", "trainer.max_steps=1_000"),
    *(f"callbacks.{one}.every={EVERY}" for one in ("collapse", "quality")),
    *("callbacks.quality.metrics=[fid]", "callbacks.quality.count=500", "callbacks.quality.extractor=small"),
    "callbacks.pictures=null",
)


def bare(rate: float, objective: str = "nonsaturating") -> tuple[str, ...]:
    """Return a game without a penalty, with this rate for both players."""
    return ("regularizer=[]", f"objective={objective}", *rates(rate))


def rates(rate: float) -> tuple[str, ...]:
    """Return the settings that give both sides this learning rate."""
    return tuple(f"{side}.optimizer.lr={rate}" for side in ("generator", "discriminator"))


FADING = "{_target_: ganlab.schedules.ConstantThenLinear, _partial_: true, end: 800, hold: 0.5}"
BACK = ("callbacks.collapse.on_collapse=rollback", "callbacks.collapse.rates=0.1")
ARMS: dict[str, tuple[str, ...]] = {
    "with R1, rate 0.001": rates(1e-3),
    "no penalty, rate 0.001": bare(1e-3),
    "no penalty, rate 0.02": bare(2e-2),
    "hinge, rate 0.02": bare(2e-2, "hinge"),
    "least squares, rate 0.01": bare(1e-2, "least_squares"),
    "minimax, rate 0.01": bare(1e-2, "minimax"),
    "a discriminator that fades": (*bare(1e-3), f"+discriminator.scheduler={FADING}"),
    "least squares, going back": (*bare(1e-2, "least_squares"), *BACK),
    "minimax, going back": (*bare(1e-2, "minimax"), *BACK),
}


class Course(NamedTuple):
    """The measured values, one for each measurement."""

    images: list[int]
    fid: list[float]
    evidence: list[float]


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    jobs = {name: [*COMMON, *words, f"seed={seed}"] for name, words in ARMS.items()}
    runs = trained(folder / "runs" / "collapse", jobs)
    courses = {name: course(one) for name, one in runs.items()}
    alarms = {name: summary(one)["collapse"]["alarms"] for name, one in runs.items()}
    _draw(folder / "collapse.png", courses, alarms)
    return {name: _row(courses[name], alarms[name]) | {"seconds": summary(runs[name])["seconds"]} for name in ARMS}


def course(run: RunFolder) -> Course:
    """Return the values in the run's metrics.csv. After a rollback they include the abandoned iterations."""
    with run.metrics_file.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["quality/fid_small"] and row["collapse/evidence"]]
    columns = ((float(row[name]) for row in rows) for name in ("images_seen", "quality/fid_small", "collapse/evidence"))
    images, fid, evidence = map(list, columns)
    return Course([int(number) for number in images], fid, evidence)


def doubled(values: Sequence[float]) -> int | None:
    """Return the index of the first value after the lowest that is at least twice as high, or None.

    >>> doubled([9.0, 4.0, 7.0, 3.0, 8.0]), doubled([2.0, 5.0, 1.5, 2.5])
    (4, None)
    """
    best = lowest(values)
    return next((i for i in range(best, len(values)) if values[i] >= 2 * values[best]), None)


def lowest(values: Sequence[float]) -> int:
    """Return the index of the lowest value."""
    return min(range(len(values)), key=values.__getitem__)


def _row(found: Course, alarms: list[dict[str, Any]]) -> dict[str, Any]:
    twice = doubled(found.fid)
    best = lowest(found.fid)
    return {
        "alarms": [{key: alarm[key] for key in ("kind", "since", "images_seen", "done")} for alarm in alarms],
        "fid_doubled_at": None if twice is None else found.images[twice],
        "fid_best": found.fid[best],
        "fid_best_at": found.images[best],
        "fid_last": found.fid[-1],
        "looks": len(found.fid),
    }


def _draw(file: Path, courses: dict[str, Course], alarms: dict[str, list[dict[str, Any]]]) -> None:
    """Draw FID over images seen, and the places of the alarms."""
    figure, axes = drawing.panels(COLUMNS, -(-len(courses) // COLUMNS), width=3.2, height=2.6)
    for axis, (name, found) in zip(axes.flat, courses.items(), strict=True):
        axis.plot(found.images, found.fid, color=drawing.GENERATED, label="FID (small)")
        twice = doubled(found.fid)
        if twice is not None:
            axis.axvline(found.images[twice], color=drawing.TRUTH, linestyle=":", label="has doubled")
        for number, alarm in enumerate(alarms[name]):
            label = "alarm" if number == 0 else None
            axis.axvline(alarm["images_seen"], color=drawing.JUDGED, linestyle="--", label=label)
        axis.set(yscale="log", xlabel="images seen", title=name)
        axis.legend(fontsize=7)
    drawing.save(figure, file)
