"""What indicators look at: features of a sample, with what several of them need worked out once. Plain torch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ganlab.metrics.copying import have_twins
from ganlab.metrics.fidelity import within_balls
from ganlab.metrics.gathering import rows_of

K = 5  # neighbours, as Naeem et al. 2020 have it


@dataclass(frozen=True)
class Crowd:
    """Features (N, D), N > K, generated or real, with a few samples of each of some conditions.

    `told`: features (C * R, D) of samples of `conditions`, which repeat: R samples of each of C. Empty where there
    is no condition, or the data have too few pictures of any to say what is healthy.
    """

    features: Tensor
    told: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    conditions: Sequence[Hashable] = ()

    @cached_property
    def points(self) -> Tensor:
        return self.features.double()

    @cached_property
    def neighbours(self) -> Tensor:
        """(N, K): each sample's distances to its K nearest others, the nearest first."""
        distances = torch.cdist(self.points, self.points)
        return distances.topk(K + 1, dim=1, largest=False, sorted=True).values[:, 1:]

    @cached_property
    def groups(self) -> dict[Hashable, Tensor]:
        """Features (R, D) of the samples of each condition."""
        return {condition: self.told[rows].double() for condition, rows in rows_of(self.conditions).items()}


def recalled(reference: Tensor, crowd: Crowd, largest: float) -> Tensor:
    """(M,) bool: which of the reference (M, D) are within some sample's ball, which reaches to its K-th neighbour.

    Their share is the recall of Kynkäänniemi et al. 2019, eq. 2 (there k = 3), but for balls larger than `largest`,
    which are made as small: samples that are far from everything, as those of a generator that has not learned yet,
    would have balls that cover it all (Naeem et al. 2020, section 3.2).
    """
    reach = crowd.neighbours[:, -1].clamp(max=largest)
    return within_balls(reference, crowd.points, reach)


def nearest_real(points: Tensor, reals: Tensor) -> Tensor:
    """Return (N,) int64: which of the reals (M, D) is nearest to each point (N, D). In float32, at half the time."""
    return torch.cdist(points.float(), reals.float()).argmin(1)


def spread(crowd: Crowd) -> float:
    """The median distance to the K-th nearest other sample: how far apart samples are where they are dense."""
    return float(crowd.neighbours[:, -1].median())


def duplicates(crowd: Crowd, near: float) -> float:
    """The share of the samples whose nearest other one is no further than `near` (after Arora and Zhang 2018)."""
    return float(have_twins(crowd.neighbours[:, 0], near).mean())
