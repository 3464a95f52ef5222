"""The interface of metrics: a name, a direction, needs, `update` for batches of samples, and `compute`.

A file of this folder that defines a concrete subclass adds a metric. `registry.py` finds it for `ganlab.evaluate`, for
the quality callback, for their help and for the docs. A metric of your own is named by its dotted path instead.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from enum import Enum
from typing import Any, ClassVar

import torch
from torch import Tensor

from ganlab.metrics.feature_sets import FeatureSets
from ganlab.metrics.needs import CAPTIONS, LABELS, PICTURES, REAL_FEATURES, Need
from ganlab.metrics.result import Result
from ganlab.metrics.samples import Rows, Samples
from ganlab.metrics.target import Target
from ganlab.processes import Divide

__all__ = [
    "CAPTIONS",
    "HIGHER",
    "LABELS",
    "LOWER",
    "PICTURES",
    "REAL_FEATURES",
    "Better",
    "FeatureMetric",
    "Metric",
    "Need",
    "Result",
    "SampleMetric",
    "Samples",
    "Target",
]


class Better(Enum):
    """The direction in which a number improves. The value is its sign."""

    HIGHER = 1
    LOWER = -1


HIGHER, LOWER = Better.HIGHER, Better.LOWER


class Metric(ABC):
    """A number about generated samples. The first line of a metric's docstring is its line in help and docs.

    `update` may be called in any order and in batches of any size: samples carry their places. In several processes
    each takes a part of the samples, then all call `synchronize` and `prepare`, and `compute` gives the number of a
    single process.
    """

    name: ClassVar[str]
    """The name in settings and on the command line."""
    better: ClassVar[Better]
    needs: ClassVar[tuple[Need, ...]]
    standard: ClassVar[bool] = False
    """True if `ganlab.evaluate` measures it when no metrics are named."""
    most: ClassVar[int] = sys.maxsize
    """The number of samples that are used: those with a smaller place."""

    def __init__(self, target: Target) -> None:
        self.target = target

    @abstractmethod
    def update(self, samples: Samples) -> None:
        """Add one batch of generated samples."""

    @abstractmethod
    def synchronize(self) -> None:
        """Exchange the samples of all processes. Every process must call this, after its last `update`."""

    def prepare(self, divide: Divide) -> None:  # noqa: B027  # most numbers take no time
        """Do the work of `compute` that processes can share. Every process must call this, after `synchronize`.

        divide: gives each process its part, and the results to all. `compute` does without, and is then slower.
        """

    @abstractmethod
    def compute(self) -> Result:
        """Return the number. Raise `ValueError` if it is undefined, for example for too few samples."""

    def to(self, device: torch.device) -> None:  # noqa: B027  # most metrics have no network
        """Move the metric's networks, if it has any, to a device."""

    def stamp(self, number: str) -> dict[str, Any]:
        """Return the part of the protocol that is the same for all numbers of this measurement."""
        return {"seed": self.target.seed} | ({"split": self.target.split} if self.target.split else {})

    @classmethod
    def leading(cls) -> str:
        """Return the name of the number to which `better` applies."""
        return cls.name

    @classmethod
    def label(cls, target: Target, number: str) -> str:
        """Return the full name of a number in logs and files."""
        return number

    @classmethod
    def targets(cls, target: Target) -> list[Target]:
        """Return the targets for which samples are drawn: this one, unless the metric needs other conditions."""
        return [target]

    @classmethod
    def doubt(cls, target: Target) -> str:
        """Return one line on why the target has too few samples for the number's meaning; "" if it has enough."""
        return ""

    def results(self) -> dict[str, Result]:
        """Return the number and those beside it, by their full names, each with its whole protocol."""
        main = self.compute()
        numbers = {self.leading(): main, **main.beside}
        return {
            self.label(self.target, name): Result(one.value, one.spread, {**self.stamp(name), **one.protocol})
            for name, one in numbers.items()
        }


class SampleMetric(Metric, ABC):
    """A metric that keeps some values of each sample: the result of `look`."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.rows = Rows()

    @abstractmethod
    def look(self, samples: Samples) -> Tensor:
        """Return the values (N, ...) that are kept of the samples, whose images are on the processor."""

    def update(self, samples: Samples) -> None:
        """Keep the values of those samples whose place is smaller than `most`."""
        few = samples.part(samples.places < self.most)
        if len(few.places):
            self.rows.add(few.places, self.look(Samples(few.images.cpu(), few.places, few.labels)))

    def synchronize(self) -> None:
        """Exchange the values of all processes."""
        self.rows.synchronize()


class FeatureMetric(Metric, ABC):
    """A metric of the features of one extractor. All such metrics of a target share them: `self.sets`.

    `self.sets.real.features` (M, D) and `self.sets.fake.features` (N, D) are the features that were kept.
    """

    @property
    def sets(self) -> FeatureSets:
        """Return the features of both kinds."""
        return self.target.features

    def update(self, samples: Samples) -> None:
        """Extract the features, unless another metric of the target has done so."""
        self.sets.update(samples)

    def synchronize(self) -> None:
        """Exchange the features of all processes, unless another metric of the target has done so."""
        self.sets.synchronize()

    def to(self, device: torch.device) -> None:
        """Move the extractor."""
        self.sets.extractor.to(device)

    def stamp(self, number: str) -> dict[str, Any]:
        """Return the extractor's protocol, the counts of both kinds, and the facts of the real side."""
        return {"measure": number, **self.sets.protocol, "seed": self.target.seed}

    @classmethod
    def label(cls, target: Target, number: str) -> str:
        """Return the number's name with the extractor's."""
        return target.features.extractor.metric(number)
