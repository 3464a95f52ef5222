"""Fidelity of samples and coverage of the data: Inception score, precision, recall, density, coverage.

Functions of features (N, D) and logits (N, K).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from ganlab.metrics.feature_sets import FeatureSets
from ganlab.metrics.gathering import SplitScores
from ganlab.metrics.metric import HIGHER, REAL_FEATURES, FeatureMetric, Result
from ganlab.metrics.moments import precise
from ganlab.metrics.needs import CLASSES

CHUNK = 1024  # rows of a distance matrix held at once
NEIGHBOURS = 5


def inception_score(logits: Tensor, splits: int = 10, generator: torch.Generator | None = None) -> tuple[float, float]:
    """Return exp E KL(p(y|x) || p(y)) (Salimans et al. 2016): mean and deviation (over `splits`) of the parts.

    `logits` (N, K), shuffled by `generator` before they are split if there is one. Between 1 and K. Raise `ValueError`
    if there are fewer logits than splits.
    """
    count = len(logits)
    if count < splits:
        raise ValueError(f"`splits` must be at most {count}, the samples there are, got {splits}")
    order = torch.arange(count) if generator is None else torch.randperm(count, generator=generator)
    sums = SplitScores(logits.shape[1], count, splits, order=order)
    sums.add(logits, slice(None))
    return mean_score(sums)


def mean_score(sums: SplitScores) -> tuple[float, float]:
    """Return the Inception score of these sums: mean and deviation (over the number of parts) of the parts."""
    scores = sums.scores()
    return float(scores.mean()), float(scores.std(correction=0))


def neighbour_distances(features: Tensor, k: int) -> Tensor:
    """Return each sample's distance to its k-th nearest other sample, (N,) float64. Raise `ValueError` if k >= N."""
    if not 1 <= k < len(features):
        raise ValueError(f"`k` must be between 1 and {len(features) - 1}, the other samples there are, got {k}")
    x = precise(features)
    return torch.cat([torch.cdist(rows, x).kthvalue(k + 1, dim=1).values for rows in torch.split(x, CHUNK)])


def within_balls(points: Tensor, centers: Tensor, radius: Tensor) -> Tensor:
    """Return which points (M, D) are within some ball, edges included: (M,) bool; centers (N, D), radius (N,).

    If balls reach to the k-th neighbour, the mean is precision (of fakes in the reals' balls) or recall (of reals in
    the fakes' balls) of Kynkäänniemi et al. 2019, eq. 1 and 2.
    """
    x, y = precise(points), precise(centers)
    return torch.cat([(torch.cdist(rows, y) <= radius).any(1) for rows in torch.split(x, CHUNK)])


class Members(NamedTuple):
    """The values whose means are the four numbers: (N,) of fakes, (M,) of reals, (N,) of fakes, (M,) of reals."""

    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor


def members(real: Tensor, fake: Tensor, k: int = 5) -> Members:
    """Return the memberships in balls, which reach to each sample's k-th nearest neighbour of its kind. float64.

    Precision: fakes within (distance <= radius) some real's ball. Recall: reals within some fake's ball (Kynkäänniemi
    et al. 2019, there k = 3). Density: the number of reals' balls around a fake (distance < radius), over k. Coverage:
    reals with a fake in their ball (<) (Naeem et al. 2020). For equal distributions density averages 1 and coverage 1 -
    prod_{i=1..k} (M - i)/(M + N - i); precision and recall are then below 1.
    """
    x, y = precise(real), precise(fake)
    radius_real = neighbour_distances(x, k)
    balls, covered = torch.zeros(len(y), dtype=torch.int64, device=y.device), []
    for rows, radius in zip(torch.split(x, CHUNK), torch.split(radius_real, CHUNK), strict=True):
        within = torch.cdist(rows, y) < radius[:, None]
        balls += within.sum(0)
        covered.append(within.any(1))
    precision, recall = within_balls(y, x, radius_real), within_balls(x, y, neighbour_distances(y, k))
    return Members(precision.double(), recall.double(), balls.double() / k, torch.cat(covered).double())


def members_of(sets: FeatureSets) -> Members:
    """Return the memberships for as many reals as fakes."""
    return members(*sets.alike, NEIGHBOURS)


class InceptionScore(FeatureMetric):
    """Inception score: how sure a classifier is of each sample, and how varied its answers are."""

    name = "is"
    better = HIGHER
    needs = (CLASSES,)

    def compute(self) -> Result:
        """Return the mean over ten parts with its deviation over parts."""
        sums = self.sets.fake.scores
        assert sums is not None
        return Result.of(mean_score(sums), splits=len(sums.count))


class BallMetric(FeatureMetric, ABC):
    """A mean of memberships in balls: one of four numbers."""

    better = HIGHER
    needs = (REAL_FEATURES,)

    def compute(self) -> Result:
        """Return the mean with its standard error, balls held fixed."""
        values = self.values(self.sets.once(members_of))
        return Result.mean(values, k=NEIGHBOURS, compared=self.sets.pairs)

    @abstractmethod
    def values(self, found: Members) -> Tensor:
        """Return the values whose mean is the number."""


class Precision(BallMetric):
    """Share of fakes that lie among the reals."""

    name = "precision"
    standard = True

    def values(self, found: Members) -> Tensor:
        """Return the values of `precision`."""
        return found.precision


class Recall(BallMetric):
    """Share of reals that lie among the fakes."""

    name = "recall"
    standard = True

    def values(self, found: Members) -> Tensor:
        """Return the values of `recall`."""
        return found.recall


class Density(BallMetric):
    """Number of reals with a fake in their neighbourhood, over the expected number; 1 on average if perfect."""

    name = "density"

    def values(self, found: Members) -> Tensor:
        """Return the values of `density`."""
        return found.density


class Coverage(BallMetric):
    """Share of reals with a fake in their neighbourhood."""

    name = "coverage"

    def values(self, found: Members) -> Tensor:
        """Return the values of `coverage`."""
        return found.coverage
