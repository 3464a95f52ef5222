"""The losses of a run at every look, and the test whether the last look is a collapse. Plain Python and numpy.

A series is the loss of one indicator on one generator, such as `averaged/recall`. All series share the allowed
probability of a false alarm equally (Bonferroni). This is conservative, because series are correlated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ganlab.collapse.change_point import ChangePoint, detect_change, noise, window_sums
from ganlab.collapse.null_distribution import NullDistribution

LEARNED = 0.9  # loss of recall below which a generator has learned something that it can lose
NEAR = 2.0  # standard deviations above the best level, beside half of `min_loss`, that still count as near the best

LACKING = {"averaged/recall": 0.75, "averaged/bins": 0.5}
"""Losses that, reached together, mean that a generator has not learned. With one mode of eight, both are 0.88."""


@dataclass(frozen=True)
class Tolerance:
    """The noise of one look of a series due to sampling, and the smallest lasting loss that matters."""

    sampling_noise: float
    min_loss: float


@dataclass
class History:
    """The losses of every series at every look since the generator has learned something.

    Before that its samples are noise, whose variety means nothing.

    phase: the part of a run with several parts to which the looks belong.
    images: real images seen at each look. losses: of each series at each look.
    lacking: images seen at the last looks in succession that found nearly nothing of the data.
    """

    phase: str = ""
    images: list[int] = field(default_factory=list)
    losses: dict[str, list[float]] = field(default_factory=dict)
    lacking: list[int] = field(default_factory=list)

    def add(self, images_seen: int, losses: Mapping[str, float]) -> bool:
        """Add one look and return whether it counts. The first look that counts determines the series."""
        lacks = all(losses[name] >= floor for name, floor in LACKING.items())
        self.lacking = [*self.lacking, images_seen] if lacks else []
        counts = bool(self.images) or losses["averaged/recall"] <= LEARNED
        if counts:
            self.images.append(images_seen)
            for name, loss in losses.items():
                self.losses.setdefault(name, []).append(loss)
        return counts

    def enter(self, phase: str, series: Collection[str]) -> None:
        """Start over if the phase is new, or if the series differ from those of a run of an older version."""
        if phase != self.phase or (self.losses and self.losses.keys() != set(series)):
            self.phase, self.images, self.losses, self.lacking = phase, [], {}, []

    def truncate(self, images_seen: int) -> None:
        """Remove the looks after `images_seen`."""
        kept = sum(seen <= images_seen for seen in self.images)
        self.images, self.lacking = self.images[:kept], []
        self.losses = {name: series[:kept] for name, series in self.losses.items()}

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint stores: the arguments of the constructor in plain values."""
        return asdict(self)


@dataclass(frozen=True)
class TestStatistic:
    """The test of one series at the last look.

    ratio: of the statistic to its threshold; at least 1 is an alarm. p_value: over all series.
    since: images seen at the first look after the change. before, after: the levels of the loss.
    """

    series: str
    ratio: float
    p_value: float
    since: int
    before: float
    after: float


@dataclass(frozen=True)
class CollapseTest:
    """The test of all series with a false alarm in the share `chance` of healthy runs."""

    null: NullDistribution
    chance: float

    def statistics(self, history: History, tolerances: Mapping[str, Tolerance]) -> list[TestStatistic]:
        """Return the statistic of every series, in descending order; empty if there are too few looks."""
        if not history.images:
            return []
        changes = {
            name: detect_change(history.losses[name], tolerance.sampling_noise, tolerance.min_loss)
            for name, tolerance in tolerances.items()
        }
        found = [self._test(name, one, history, len(changes)) for name, one in changes.items() if one is not None]
        return sorted(found, key=lambda one: -one.ratio)

    def _test(self, name: str, change: ChangePoint, history: History, series: int) -> TestStatistic:
        normalized = self.null.normalize(change.z, len(history.images) - 1)
        ratio = normalized / self.null.threshold(self.chance / series)
        p_value = min(1.0, series * self.null.p_value(normalized))
        return TestStatistic(name, ratio, p_value, history.images[change.onset], change.before, change.after)


def is_near_best(history: History, tolerances: Mapping[str, Tolerance]) -> bool:
    """Return whether the last look is near the best level in every series, so that the state is worth keeping."""
    return all(_is_near_best(np.array(history.losses.get(name, [])), one) for name, one in tolerances.items())


def _is_near_best(losses: np.ndarray, tolerance: Tolerance) -> bool:
    """Compare the last look with the best two successive looks."""
    if len(losses) < 3:
        return True
    sigma = float(noise(losses, tolerance.sampling_noise)[-1])
    return bool(losses[-1] <= window_sums(losses, 2).min() / 2 + tolerance.min_loss / 2 + NEAR * sigma)
