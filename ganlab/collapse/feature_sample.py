"""A sample in feature space and the statistics of nearest neighbours that several indicators share. Plain torch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ganlab.metrics.copying import have_twins
from ganlab.metrics.fidelity import within_balls
from ganlab.metrics.gathering import rows_of

K = 5  # neighbours, as in Naeem et al. 2020


@dataclass(frozen=True)
class FeatureSample:
    """Features of N generated or real images, and of a few images of each of some conditions.

    features: (N, D) with N > K.
    per_condition: (C * R, D), the features of R images of each of C conditions. It is empty if the generator has no
    condition, or if no condition has enough real images to say what is healthy.
    conditions: (C * R), the condition of each row of `per_condition`.
    """

    features: Tensor
    per_condition: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    conditions: Sequence[Hashable] = ()

    @cached_property
    def points(self) -> Tensor:
        """Return the features (N, D) in float64."""
        return self.features.double()

    @cached_property
    def neighbours(self) -> Tensor:
        """Return (N, K): the distances of each row to its K nearest other rows, in ascending order."""
        distances = torch.cdist(self.points, self.points)
        return distances.topk(K + 1, dim=1, largest=False, sorted=True).values[:, 1:]

    @cached_property
    def groups(self) -> dict[Hashable, Tensor]:
        """Return the features (R, D) of the images of each condition."""
        return {one: self.per_condition[rows].double() for one, rows in rows_of(self.conditions).items()}


def recalled(reference: Tensor, sample: FeatureSample, max_radius: float) -> Tensor:
    """Return (M,) bool: the reference points (M, D) that lie in the ball of at least one sample.

    The radius of a ball is the distance to the K-th neighbour, but at most `max_radius`. Without a maximum, the share
    of these points is the recall of Kynkäänniemi et al. 2019, eq. 2 (there k = 3). Samples far from everything, as an
    untrained generator makes them, would have balls that cover all data (Naeem et al. 2020, section 3.2).
    """
    radii = sample.neighbours[:, -1].clamp(max=max_radius)
    return within_balls(reference, sample.points, radii)


def nearest_real(points: Tensor, reals: Tensor) -> Tensor:
    """Return (N,) int64: the index of the nearest real (M, D) to each point (N, D). Float32 halves the time."""
    return torch.cdist(points.float(), reals.float()).argmin(1)


def spread(sample: FeatureSample) -> float:
    """Return the median distance to the K-th nearest other row: the distance of samples inside dense regions."""
    return float(sample.neighbours[:, -1].median())


def duplicates(sample: FeatureSample, distance: float) -> float:
    """Return the share of rows with another row within `distance` (after Arora and Zhang 2018)."""
    return float(have_twins(sample.neighbours[:, 0], distance).mean())
