"""What may get lost when a generator collapses, each as a share: 0, as rich as real data, to 1, nothing left.

An indicator is fitted to real data: it then knows what it is on real samples of the same size, mean and standard
deviation, and says of any sample how much is lost against that. `least` is the smallest lasting loss that is worth a
word; below it a change may be ever so certain and is still not collapse. Plain torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from ganlab.collapse.crowd import Crowd, duplicates, nearest_real, recalled, spread
from ganlab.collapse.labels import Labels
from ganlab.collapse.share import Bins, Partition, bin_js, dropped_share, missing_share
from ganlab.metrics.conditional import mean_distance
from ganlab.metrics.diversity import Level, vendi

P = TypeVar("P", bound=Partition)
FINEST = 1e-3
FEW = 5  # samples of a condition, below which their distances say nothing of it


@dataclass(frozen=True)
class Draw:
    """Real samples in a generator's place: `sample`, the real features that are not in it, and its part of them all."""

    sample: Crowd
    rest: Tensor
    part: float


class Indicator(ABC):
    """A number about a sample, and the share of what the data have that it says is lost. Fitted, then used."""

    name: ClassVar[str]
    """In logs and messages."""
    what: ClassVar[str]
    """What is lost, in a few words for a person."""
    least: ClassVar[float]
    live: ClassVar[bool] = True
    """Whether it is looked at on the live generator too, and not on the averaged one alone."""
    level: Level
    """What it is on real samples of the same size."""

    @abstractmethod
    def value(self, sample: Crowd) -> float:
        """The number itself, as the literature has it."""

    @abstractmethod
    def loss(self, value: float) -> float:
        """The share that is lost, from 0 to 1."""

    @property
    @abstractmethod
    def slope(self) -> float:
        """|d loss / d value| beside the healthy level."""

    @property
    @abstractmethod
    def applies(self) -> bool:
        """Whether the real data have what it measures: a set of copies, say, has no variety to lose."""

    def healthy(self, draws: Sequence[Draw]) -> Level:
        """Draws without replacement from few are more alike than draws from all there could be: by sqrt(1 - part)."""
        plain = level_of([self.value(draw.sample) for draw in draws])
        return Level(plain.mean, plain.deviation / (1 - draws[0].part) ** 0.5)

    @property
    def noise(self) -> float:
        """The standard deviation, in shares, that sampling alone gives to real samples; a thousandth at least, because
        where all draws agree they are too few to say how much they would differ."""
        return max(FINEST, self.slope * self.level.deviation)


def level_of(values: Sequence[float]) -> Level:
    """Mean and standard deviation."""
    drawn = torch.tensor(values, dtype=torch.float64)
    return Level(float(drawn.mean()), float(drawn.std()))


class Falling(Indicator, ABC):
    """A number that falls when something is lost: loss = 1 - value / healthy value, at least 0."""

    def loss(self, value: float) -> float:
        return min(1.0, max(0.0, 1 - value / self.level.mean))

    @property
    def slope(self) -> float:
        return 1 / self.level.mean

    @property
    def applies(self) -> bool:
        return self.level.mean > 1e-6


class OfPartition(Indicator, ABC, Generic[P]):
    """A number about the shares of samples in regions of the feature space."""

    def __init__(self, partition: P, generator: torch.Generator) -> None:
        self.partition, self.generator = partition, generator

    @abstractmethod
    def between(self, found: Tensor) -> float:
        """The number for these shares (K,)."""

    def value(self, sample: Crowd) -> float:
        return self.between(self.partition.shares(sample.points))

    def healthy(self, draws: Sequence[Draw]) -> Level:
        """By the bootstrap: counts of real samples are multinomial, however few real pictures there are."""
        count, expected = len(draws[0].sample.features), self.partition.expected
        found = [torch.multinomial(expected, count, True, generator=self.generator) for _ in draws]
        return level_of([self.between(which.bincount(minlength=len(expected)) / count) for which in found])

    @property
    def applies(self) -> bool:
        return len(self.partition.expected) > 1


class UnevenBins(OfPartition[Bins]):
    """Their Jensen-Shannon divergence from those of the data: parts that are drawn too seldom, or never."""

    name, what, least = "bins", "whole parts of the data", 0.05

    def between(self, found: Tensor) -> float:
        return bin_js(self.partition.expected, found)

    def loss(self, value: float) -> float:
        return missing_share(value - self.level.mean)

    @property
    def slope(self) -> float:
        """js_of_missing(e) is about e log(2) / 2 for small e."""
        return 2 / log(2)


class Dropped(OfPartition[P], ABC):
    """The share of the data in regions that samples leave empty, or all but empty. How uneven the others are does not
    matter, so it sees a small region go.

    The live generator may leave a region and come back to it many thousand images later, in a run that goes well.
    """

    live = False

    def between(self, found: Tensor) -> float:
        return dropped_share(self.partition.expected, found)

    def loss(self, value: float) -> float:
        return max(0.0, value - self.level.mean)

    @property
    def slope(self) -> float:
        return 1.0


class DroppedBins(Dropped[Bins]):
    """Of the bins of k-means, which every data set has."""

    name, what, least = "dropped", "whole parts of the data", 0.05


class DroppedLabels(Dropped[Labels]):
    """Of the regions of labels: classes, or words that many captions share. Their borders are those that people see,
    so one class of thirty is a whole region, where it may be a tenth of three bins."""

    name, what, least = "dropped_labels", "whole classes or words", 0.03


class Recall(Falling):
    """How much of the real data lies where samples do, whose balls may be as large as all but 5 % of real ones are."""

    name, what, least = "recall", "part of the data", 0.05
    LARGEST = 0.95

    def __init__(self, reference: Tensor, real: Crowd) -> None:
        self.reference = reference.double()
        self.largest = float(real.neighbours[:, -1].quantile(self.LARGEST))

    def value(self, sample: Crowd) -> float:
        return self._share(self.reference, sample)

    def healthy(self, draws: Sequence[Draw]) -> Level:
        """Of the real samples that are not in the draw: one that is in it lies where it is itself."""
        return level_of([self._share(draw.rest.double(), draw.sample) for draw in draws])

    def _share(self, reference: Tensor, sample: Crowd) -> float:
        return float(recalled(reference, sample, self.largest).double().mean())


class Covered(Falling):
    """The share of the reals that are the nearest real of some sample. It falls if a generator copies a part of them.

    Compared with a generator that draws the reals themselves, all alike: fresh pictures cover somewhat less.
    """

    name, what, least = "covered", "part of the data", 0.1

    def __init__(self, reals: Tensor, generator: torch.Generator) -> None:
        self.reals, self.generator = reals, generator

    def value(self, sample: Crowd) -> float:
        return len(nearest_real(sample.features, self.reals).unique()) / len(self.reals)

    def healthy(self, draws: Sequence[Draw]) -> Level:
        """By the bootstrap: N draws with replacement from N reals find 1 - 1/e of them."""
        shape, total = (len(draws[0].sample.features),), len(self.reals)
        found = [torch.randint(total, shape, generator=self.generator).unique() for _ in draws]
        return level_of([len(rows) / total for rows in found])


class Vendi(Falling):
    """The effective number of different samples (Friedman and Dieng 2023), of features around the real mean."""

    name, what, least = "vendi", "variety over all", 0.03

    def __init__(self, real: Tensor) -> None:
        self.center = real.double().mean(0)

    def value(self, sample: Crowd) -> float:
        return vendi(sample.points - self.center)


class Spread(Falling):
    """How far samples are from those most like them: what shrinks when modes shrink and none is lost."""

    name, what, least = "spread", "variety inside modes", 0.35

    def value(self, sample: Crowd) -> float:
        return spread(sample)


class Duplicates(Indicator):
    """The share of samples that come again, nearer than 99 % of real ones have their nearest."""

    name, what, least = "duplicates", "samples that are different", 0.05
    RARE, COMMON = 0.01, 0.5

    def __init__(self, real: Crowd) -> None:
        self.near = float(real.neighbours[:, 0].quantile(self.RARE))

    def value(self, sample: Crowd) -> float:
        return duplicates(sample, self.near)

    def loss(self, value: float) -> float:
        return min(1.0, max(0.0, (value - self.level.mean) / (1 - self.level.mean)))

    @property
    def slope(self) -> float:
        return 1 / (1 - self.level.mean)

    @property
    def applies(self) -> bool:
        return self.level.mean < self.COMMON


class PerCondition(Falling, ABC):
    """Variety once the condition is given: the mean distance between two samples of it, in parts of the real one.

    More than the real one counts as the real one. `real`: that distance between real pictures, by condition. Not of
    the live generator, which saves samples.
    """

    live = False

    def __init__(self, real: Mapping[Hashable, float]) -> None:
        self.real = real

    def kept(self, sample: Crowd) -> dict[Hashable, float]:
        """How much of each condition's variety there is, from 0 to 1."""
        found = {condition: mean_distance(group) for condition, group in sample.groups.items() if len(group) >= FEW}
        return {condition: min(1.0, distance / self.real[condition]) for condition, distance in found.items()}


class WithinConditions(PerCondition):
    """The mean over conditions: all of them at once losing their variety, which unconditional numbers cannot see."""

    name, what, least = "within_conditions", "variety within conditions", 0.1

    def value(self, sample: Crowd) -> float:
        kept = self.kept(sample).values()
        return sum(kept) / len(kept) if kept else 1.0


class WorstCondition(PerCondition):
    """The condition that has least left: collapse in one of many, which a mean would hide."""

    name, what, least = "worst_condition", "variety within one condition", 0.3

    def value(self, sample: Crowd) -> float:
        return min(self.kept(sample).values(), default=1.0)
