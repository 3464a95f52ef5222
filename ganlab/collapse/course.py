"""How a run went, look by look, and what is to be said of its last look. Plain Python; a checkpoint keeps it.

A series is an indicator on one of the generators, `averaged/recall` say. All series together get the false alarms that
are allowed: each a part of `chance` (Bonferroni), which is cautious, because they go together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ganlab.collapse.null import Healthy
from ganlab.collapse.rule import Change, change, noise, sums

LEARNED = 0.9  # recall's loss, below which a generator has learned something that it could lose
CALM = 2.0  # standard deviations above the best level, and half of what counts, that a healthy look may be


LACKING = {"averaged/recall": 0.75, "averaged/bins": 0.5}
"""Losses that no generator which has learned has, both at once; one of eight modes has 0.88 of each."""


@dataclass(frozen=True)
class Terms:
    """What a series is held against: the noise of sampling alone, and the smallest lasting loss that counts."""

    sampling: float
    least: float


@dataclass
class Course:
    """Losses of every series at every look, and the real images seen at it, since the generator has learned anything.

    Before that its samples are noise of one kind or another, whose variety means nothing. `chapter`: what is being
    learned, where a run has several parts; the looks are of one. `lacking`: images seen at those looks, up to the last
    one, that all found hardly anything of the data.
    """

    chapter: str = ""
    images: list[int] = field(default_factory=list)
    losses: dict[str, list[float]] = field(default_factory=dict)
    lacking: list[int] = field(default_factory=list)

    def add(self, images_seen: int, losses: Mapping[str, float]) -> bool:
        """One look; whether it counts. Series appear with the first look that does, and stay."""
        lacks = all(losses[name] >= floor for name, floor in LACKING.items())
        self.lacking = [*self.lacking, images_seen] if lacks else []
        counts = bool(self.images) or losses["averaged/recall"] <= LEARNED
        if counts:
            self.images.append(images_seen)
            for name, loss in losses.items():
                self.losses.setdefault(name, []).append(loss)
        return counts

    def enter(self, chapter: str, series: Collection[str]) -> None:
        """Start over where a new chapter begins, which has a course of its own, or where the series are others than
        so far: those of a run that an older ganlab began."""
        if chapter != self.chapter or (self.losses and self.losses.keys() != set(series)):
            self.chapter, self.images, self.losses, self.lacking = chapter, [], {}, []

    def cut(self, images_seen: int) -> None:
        """Forget the looks beyond so many images."""
        kept = sum(seen <= images_seen for seen in self.images)
        self.images, self.lacking = self.images[:kept], []
        self.losses = {name: series[:kept] for name, series in self.losses.items()}

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Evidence:
    """One series at the last look: `ratio` 1 is alarm. `since`: images seen at the first look that was worse."""

    series: str
    ratio: float
    chance: float
    since: int
    before: float
    after: float


@dataclass(frozen=True)
class Rule:
    """`chance`: how many runs in which nothing is wrong may give alarm, of all; `healthy`: what such runs do."""

    healthy: Healthy
    chance: float

    def evidence(self, course: Course, terms: Mapping[str, Terms]) -> list[Evidence]:
        """Of every series, the strongest first; nothing while there are too few looks that count."""
        if not course.images:
            return []
        changes = {name: change(course.losses[name], term.sampling, term.least) for name, term in terms.items()}
        found = [self._weighed(name, one, course, len(terms)) for name, one in changes.items() if one is not None]
        return sorted(found, key=lambda one: -one.ratio)

    def _weighed(self, name: str, found: Change, course: Course, series: int) -> Evidence:
        strength = self.healthy.evidence(found.z, len(course.images) - 1)
        ratio = strength / self.healthy.threshold(self.chance / series)
        chance = min(1.0, series * self.healthy.chance(strength))
        return Evidence(name, ratio, chance, course.images[found.since], found.before, found.after)


def calm(course: Course, terms: Mapping[str, Terms]) -> bool:
    """Whether the last look is near the best there was in every series: a state worth going back to."""
    return all(_is_calm(np.array(course.losses.get(name, [])), term) for name, term in terms.items())


def _is_calm(losses: np.ndarray, terms: Terms) -> bool:
    """The last look against the best two that follow each other."""
    if len(losses) < 3:
        return True
    sigma = float(noise(losses, terms.sampling)[-1])
    return bool(losses[-1] <= sums(losses, 2).min() / 2 + terms.least / 2 + CALM * sigma)
