"""Indicators of collapse. Each has a loss: the share of the real data's variety that is missing, from 0 to 1.

An indicator is fitted to real data. It then knows its mean and standard deviation on real samples of the same size, and
translates its value on any sample into a loss. `min_loss` is the smallest lasting loss that matters: a smaller change
may be certain, but it is no collapse. Plain torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from ganlab.collapse.bins import Bins, LabelRegions, Partition, bin_js, dropped_share, missing_share
from ganlab.collapse.feature_sample import FeatureSample

P = TypeVar("P", bound=Partition)
MIN_NOISE = 1e-3


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
    """The name in logs and messages."""
    description: ClassVar[str]
    """The lost property, in a few words for messages."""
    min_loss: ClassVar[float]
    """The smallest lasting loss that matters."""
    on_live: ClassVar[bool] = True
    """True if the live generator is measured beside the averaged one."""
    level: RealLevel
    """The level on real samples of the same size."""

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
