"""Indicators of collapse. Each has a loss: the share of the real data's variety that is missing, from 0 to 1.

An indicator is fitted to real data. It then knows its mean and standard deviation on real samples of the same size, and
translates its value on any sample into a loss. `min_loss` is the smallest lasting loss that matters: a smaller change
may be certain, but it is no collapse. Plain torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from ganlab.collapse.bins import Bins, LabelRegions, Partition, bin_js, dropped_share, missing_share
from ganlab.collapse.feature_sample import FeatureSample, duplicates, nearest_real, recalled, spread
from ganlab.metrics.conditional import mean_distance
from ganlab.metrics.diversity import vendi

P = TypeVar("P", bound=Partition)
MIN_NOISE = 1e-3
MIN_GROUP = 5  # samples of a condition: the distances of fewer say nothing


class RealLevel(NamedTuple):
    """Mean and standard deviation of an indicator on real samples."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class RealDraw:
    """A sample of reals that plays the generator's part.

    rest: (M, D), the features of reals outside the sample. fraction: the sample's part of all reals.
    """

    sample: FeatureSample
    rest: Tensor
    fraction: float


class Indicator(ABC):
    """A statistic of a sample, and the loss that it implies."""

    name: ClassVar[str]
    """In logs and messages."""
    description: ClassVar[str]
    """What is lost, in a few words for messages."""
    min_loss: ClassVar[float]
    """The smallest lasting loss that matters."""
    on_live: ClassVar[bool] = True
    """Whether the live generator is measured beside the averaged one."""
    level: RealLevel
    """On real samples of the same size."""

    @abstractmethod
    def value(self, sample: FeatureSample) -> float:
        """Return the statistic itself, as in the literature."""

    @abstractmethod
    def loss(self, value: float) -> float:
        """Return the missing share, from 0 to 1."""

    @property
    @abstractmethod
    def slope(self) -> float:
        """Return |d loss / d value| at the real level."""

    @property
    @abstractmethod
    def applies(self) -> bool:
        """Return whether the real data has what is measured: a set of copies, for example, has no variety to lose."""

    def real_level(self, draws: Sequence[RealDraw]) -> RealLevel:
        """Return the level on real samples.

        Draws without replacement from a finite set overlap. Their deviation is too small by sqrt(1 - fraction).
        """
        mean, deviation = level_of([self.value(draw.sample) for draw in draws])
        return RealLevel(mean, deviation / (1 - draws[0].fraction) ** 0.5)

    @property
    def noise(self) -> float:
        """Return the standard deviation of the loss of real samples, at least `MIN_NOISE`.

        If all draws agree, they are too few to say how much they would differ.
        """
        return max(MIN_NOISE, self.slope * self.level.deviation)


def level_of(values: Sequence[float]) -> RealLevel:
    """Return mean and standard deviation of the values."""
    drawn = torch.tensor(values, dtype=torch.float64)
    return RealLevel(float(drawn.mean()), float(drawn.std()))


# Bins and labels ---------------------------------------------------------------------------------------------------


class PartitionIndicator(Indicator, ABC, Generic[P]):
    """A statistic of the shares of samples in regions of the feature space."""

    def __init__(self, partition: P, generator: torch.Generator) -> None:
        self.partition, self.generator = partition, generator

    @abstractmethod
    def compare(self, found: Tensor) -> float:
        """Return the statistic of the shares (K,) found, against the expected ones."""

    def value(self, sample: FeatureSample) -> float:
        """Return the statistic of the sample's shares."""
        return self.compare(self.partition.shares(sample.points))

    def real_level(self, draws: Sequence[RealDraw]) -> RealLevel:
        """Return the level by the bootstrap: counts of real samples are multinomial, even for few reals."""
        count, expected = len(draws[0].sample.features), self.partition.expected
        found = [torch.multinomial(expected, count, True, generator=self.generator) for _ in draws]
        return level_of([self.compare(which.bincount(minlength=len(expected)) / count) for which in found])

    @property
    def applies(self) -> bool:
        """Return whether there are at least two regions."""
        return len(self.partition.expected) > 1


class UnevenBins(PartitionIndicator[Bins]):
    """Jensen-Shannon divergence of the bins: parts of the data that are drawn too seldom, or never."""

    name, description, min_loss = "bins", "whole parts of the data", 0.05

    def compare(self, found: Tensor) -> float:
        """Return the divergence in nats of the shares (K,) from the expected ones."""
        return bin_js(self.partition.expected, found)

    def loss(self, value: float) -> float:
        """Return the missing share that gives the divergence in excess of the real level."""
        return missing_share(value - self.level.mean)

    @property
    def slope(self) -> float:
        """Return 2 / log 2: js_of_missing(e) is about e log(2) / 2 for small e."""
        return 2 / log(2)


class Dropped(PartitionIndicator[P], ABC):
    """Share of the data in regions with nearly no samples. Uneven shares of other regions do not count.

    So it sees the loss of a small region. In a healthy run the live generator may leave a region and return many
    thousand images later.
    """

    on_live = False

    def compare(self, found: Tensor) -> float:
        """Return the share of the data in regions with nearly none of the shares (K,)."""
        return dropped_share(self.partition.expected, found)

    def loss(self, value: float) -> float:
        """Return the excess over the real level."""
        return max(0.0, value - self.level.mean)

    @property
    def slope(self) -> float:
        """Return 1."""
        return 1.0


class DroppedBins(Dropped[Bins]):
    """Dropped bins of k-means, which every data set has."""

    name, description, min_loss = "dropped", "whole parts of the data", 0.05


class DroppedLabels(Dropped[LabelRegions]):
    """Dropped labels: classes, or words that many captions share.

    Their borders are those that people see. One class of thirty is a whole region, but may be a tenth of three bins.
    """

    name, description, min_loss = "dropped_labels", "whole classes or words", 0.03


# Statistics that fall if something is lost -------------------------------------------------------------------------


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
