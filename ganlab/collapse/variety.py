"""Indicators of variety: statistics of samples that fall, or rise, if something is lost. Plain torch."""

from __future__ import annotations

from abc import ABC
from collections.abc import Hashable, Mapping, Sequence

import torch
from torch import Tensor

from ganlab.collapse.feature_sample import FeatureSample, duplicates, nearest_real, recalled, spread
from ganlab.collapse.indicators import Indicator, RealDraw, RealLevel, level_of
from ganlab.metrics.conditional import mean_distance
from ganlab.metrics.diversity import vendi

MIN_GROUP = 5  # samples of a condition: the distances of fewer say nothing


class Falling(Indicator, ABC):
    """A statistic that falls if something is lost: loss = 1 - value / real level, at least 0."""

    def loss(self, value: float) -> float:
        """Return 1 - value / real level, in [0, 1]."""
        return min(1.0, max(0.0, 1 - value / self.level.mean))

    @property
    def slope(self) -> float:
        """Return 1 / real level."""
        return 1 / self.level.mean

    @property
    def applies(self) -> bool:
        """Return whether the real level is above 0."""
        return self.level.mean > 1e-6


class Recall(Falling):
    """Share of the reals within reach of samples. No ball is larger than that of 95 % of the reals."""

    name, description, min_loss = "recall", "part of the data", 0.05
    QUANTILE = 0.95

    def __init__(self, reference: Tensor, real: FeatureSample) -> None:
        self.reference = reference.double()
        self.max_radius = float(real.neighbours[:, -1].quantile(self.QUANTILE))

    def value(self, sample: FeatureSample) -> float:
        """Return the share of the reference that the sample recalls."""
        return self._share(self.reference, sample)

    def real_level(self, draws: Sequence[RealDraw]) -> RealLevel:
        """Return the level on reals outside of the draw: each real of the draw lies in its own ball."""
        return level_of([self._share(draw.rest.double(), draw.sample) for draw in draws])

    def _share(self, reference: Tensor, sample: FeatureSample) -> float:
        return float(recalled(reference, sample, self.max_radius).double().mean())


class Covered(Falling):
    """Share of the reals that are the nearest real of some sample. It falls if a generator copies a part of them.

    The real level is that of a generator that draws the reals themselves. New images cover slightly less.
    """

    name, description, min_loss = "covered", "part of the data", 0.1

    def __init__(self, reals: Tensor, generator: torch.Generator) -> None:
        self.reals, self.generator = reals, generator

    def value(self, sample: FeatureSample) -> float:
        """Return the share of the reals that are the nearest one of some sample."""
        return len(nearest_real(sample.features, self.reals).unique()) / len(self.reals)

    def real_level(self, draws: Sequence[RealDraw]) -> RealLevel:
        """Return the level by the bootstrap: N draws with replacement from N reals find 1 - 1/e of them."""
        shape, total = (len(draws[0].sample.features),), len(self.reals)
        found = [torch.randint(total, shape, generator=self.generator).unique() for _ in draws]
        return level_of([len(rows) / total for rows in found])


class Vendi(Falling):
    """Effective number of different samples (Friedman and Dieng 2023), of features around the real mean."""

    name, description, min_loss = "vendi", "variety over all", 0.03

    def __init__(self, real: Tensor) -> None:
        self.center = real.double().mean(0)

    def value(self, sample: FeatureSample) -> float:
        """Return the Vendi score of the centred features."""
        return vendi(sample.points - self.center)


class Spread(Falling):
    """Distance between the nearest samples. It falls if modes shrink, even if none is lost."""

    name, description, min_loss = "spread", "variety inside modes", 0.35

    def value(self, sample: FeatureSample) -> float:
        """Return the median distance to the K-th neighbour."""
        return spread(sample)


class Duplicates(Indicator):
    """Share of samples with another sample nearer than the nearest neighbours of 99 % of the reals are."""

    name, description, min_loss = "duplicates", "samples that are different", 0.05
    QUANTILE = 0.01
    MAX_LEVEL = 0.5

    def __init__(self, real: FeatureSample) -> None:
        self.distance = float(real.neighbours[:, 0].quantile(self.QUANTILE))

    def value(self, sample: FeatureSample) -> float:
        """Return the share of samples with a near-duplicate."""
        return duplicates(sample, self.distance)

    def loss(self, value: float) -> float:
        """Return (value - real level) / (1 - real level), in [0, 1]."""
        return min(1.0, max(0.0, (value - self.level.mean) / (1 - self.level.mean)))

    @property
    def slope(self) -> float:
        """Return 1 / (1 - real level)."""
        return 1 / (1 - self.level.mean)

    @property
    def applies(self) -> bool:
        """Return whether less than half of the reals are duplicates."""
        return self.level.mean < self.MAX_LEVEL


class PerCondition(Falling, ABC):
    """Variety given the condition: the mean distance of two samples of one condition, relative to that of two reals.

    A condition counts at most as its reals do. Only the averaged generator is measured, which saves samples.
    real: the mean distance of two reals, by condition.
    """

    on_live = False

    def __init__(self, real: Mapping[Hashable, float]) -> None:
        self.real = real

    def kept(self, sample: FeatureSample) -> dict[Hashable, float]:
        """Return the share of its real variety that each condition has, from 0 to 1."""
        found = {one: mean_distance(group) for one, group in sample.groups.items() if len(group) >= MIN_GROUP}
        return {condition: min(1.0, distance / self.real[condition]) for condition, distance in found.items()}


class WithinConditions(PerCondition):
    """Mean over conditions. It sees all conditions lose variety together, which unconditional statistics cannot."""

    name, description, min_loss = "within_conditions", "variety within conditions", 0.1

    def value(self, sample: FeatureSample) -> float:
        """Return the mean share that conditions have kept, or 1 without conditions."""
        kept = self.kept(sample).values()
        return sum(kept) / len(kept) if kept else 1.0


class WorstCondition(PerCondition):
    """Minimum over conditions. It sees the collapse of one condition of many, which a mean hides."""

    name, description, min_loss = "worst_condition", "variety within one condition", 0.3

    def value(self, sample: FeatureSample) -> float:
        """Return the smallest share that a condition has kept, or 1 without conditions."""
        return min(self.kept(sample).values(), default=1.0)
