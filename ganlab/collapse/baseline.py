"""The real data as the baseline: which indicators apply, and their levels on real samples. Plain torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ganlab.collapse.bins import Bins, LabelRegions
from ganlab.collapse.feature_sample import FeatureSample
from ganlab.collapse.indicators import (
    Covered,
    DroppedBins,
    DroppedLabels,
    Duplicates,
    Indicator,
    RealDraw,
    RealLevel,
    Recall,
    Spread,
    UnevenBins,
    Vendi,
    WithinConditions,
    WorstCondition,
)
from ganlab.metrics.conditional import mean_distance

MIN_REALS = 200  # real images: fewer do not say what is healthy
REFERENCE = 2_000  # real images whose recall is measured
DRAWS = 20  # real samples that play the generator's part
BINS = 20  # of the real data
MIN_EXPECTED = 10  # samples of a label: with fewer, the label may be empty by chance
PER_CONDITION = 20  # samples of one condition, and the fewest reals that say how varied a condition is
FUNCTION_WORDS = {"a", "an", "and", "as", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with"}

Remember = Callable[[str, Callable[[], list[float]]], list[float]]
"""(name, make) -> the result of make(), or its stored copy."""


def recompute(name: str, make: Callable[[], list[float]]) -> list[float]:
    """Return make(): a `Remember` without storage."""
    return make()


@dataclass(frozen=True)
class Baseline:
    """Features of real images.

    features: (L, D) with L at least `MIN_REALS`.
    per_condition: features (R, D) of the reals of each condition; R is at least `PER_CONDITION`, and all differ. It may
    be empty.
    labels: the class or the caption of each real, even if the generator has no condition. Empty if unknown.
    """

    features: Tensor
    per_condition: Mapping[Hashable, Tensor]
    labels: Sequence[str] = ()

    def sample_size(self, count: int) -> int:
        """Return `count`, but at most three quarters of the number of reals."""
        return min(count, 3 * len(self.features) // 4)

    def groups(self, size: int) -> list[str]:
        """Return the group of each label.

        A group has at least `PER_CONDITION` reals, and `size` samples have at least `MIN_EXPECTED` of it.
        """
        return label_groups(self.labels, max(PER_CONDITION, -(-MIN_EXPECTED * len(self.labels) // size)))

    @cached_property
    def distances(self) -> dict[Hashable, float]:
        """Return the mean distance between two reals of each condition."""
        return {condition: mean_distance(rows) for condition, rows in self.per_condition.items()}

    def draw(self, size: int, generator: torch.Generator) -> RealDraw:
        """Draw a sample of `size` reals without replacement."""
        order = torch.randperm(len(self.features), generator=generator)
        groups = [self._some(rows, generator) for rows in self.per_condition.values()]
        conditions = [condition for condition in self.per_condition for _ in range(PER_CONDITION)]
        per_condition = torch.cat(groups) if groups else torch.empty(0, 0)
        sample = FeatureSample(self.features[order[:size]], per_condition, conditions)
        return RealDraw(sample, self.features[order[size:][:REFERENCE]], size / len(order))

    @staticmethod
    def _some(rows: Tensor, generator: torch.Generator) -> Tensor:
        return rows[torch.randperm(len(rows), generator=generator)[:PER_CONDITION]]


def fit_indicators(baseline: Baseline, size: int, seed: int, remember: Remember = recompute) -> list[Indicator]:
    """Return the indicators that apply to the data, each with its level on real samples of `size`."""
    generator = torch.Generator().manual_seed(seed)
    indicators = _candidates(baseline, size, generator)
    names = "-".join(indicator.name for indicator in indicators)
    draws = (baseline.draw(size, generator) for _ in range(DRAWS))
    levels = remember(names, lambda: _levels(indicators, list(draws)))
    for indicator, mean, deviation in zip(indicators, levels[::2], levels[1::2], strict=True):
        indicator.level = RealLevel(mean, deviation)
    return [indicator for indicator in indicators if indicator.applies]


def _candidates(baseline: Baseline, size: int, generator: torch.Generator) -> list[Indicator]:
    reals = baseline.features
    first, bins = baseline.draw(size, generator), Bins.fit(reals, BINS, generator)
    groups = baseline.groups(size)
    return [
        UnevenBins(bins, generator),
        DroppedBins(bins, generator),
        *([DroppedLabels(LabelRegions.fit(reals, groups), generator)] if len(set(groups)) > 1 else []),
        Recall(reals[torch.randperm(len(reals), generator=generator)[:REFERENCE]], first.sample),
        Covered(reals, generator),
        Vendi(reals),
        Spread(),
        Duplicates(first.sample),
        *([WithinConditions(baseline.distances), WorstCondition(baseline.distances)] if baseline.per_condition else []),
    ]


def _levels(indicators: Sequence[Indicator], draws: Sequence[RealDraw]) -> list[float]:
    """Return mean and deviation of each indicator, one after the other."""
    return [number for indicator in indicators for number in indicator.real_level(draws)]


def label_groups(labels: Sequence[str], min_count: int) -> list[str]:
    """Return the group of each label: the rarest of the label and its words that `min_count` labels share, else "".

    A class is a group of its own. Captions seldom repeat, so their groups are words: "face", "heart". Function words
    are no groups.

    >>> label_groups(["red heart", "blue heart", "red cat", "red cat", "sun"], 2)
    ['heart', 'heart', 'red cat', 'red cat', '']
    """
    candidates = [{label, *label.split()} - FUNCTION_WORDS for label in labels]
    count = Counter(name for names in candidates for name in names)
    common = [[name for name in names if count[name] >= min_count] for names in candidates]
    chosen = [min(names, key=lambda name: (count[name], -len(name), name), default="") for names in common]
    members = Counter(chosen)
    return [name if members[name] >= min_count else "" for name in chosen]
