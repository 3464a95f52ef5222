"""Fidelity of samples and coverage of the data: Inception score, precision, recall, density, coverage.

Functions of features (N, D) and logits (N, K).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ganlab.metrics.feature_sets import FeatureSets
from ganlab.metrics.gathering import SplitScores
from ganlab.metrics.metric import HIGHER, REAL_FEATURES, FeatureMetric, Result
from ganlab.metrics.moments import precise
from ganlab.metrics.needs import CLASSES
from ganlab.processes import Divide, alone

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


def neighbour_distances(features: Tensor, k: int, divide: Divide = alone) -> Tensor:
    """Return each sample's distance to its k-th nearest other sample, (N,) float64. Raise `ValueError` if k >= N.

    divide: who computes which rows.
    """
    if not 1 <= k < len(features):
        raise ValueError(
            f"each sample's {k} nearest others need more than {max(k, 1)} samples of a kind, got {len(features)}"
        )
    x = precise(features)
    return divide(len(x), lambda which: _by_chunks(x[which], lambda rows: _kth(torch.cdist(rows, x), k + 1)))


def _kth(distances: Tensor, k: int) -> Tensor:
    return distances.kthvalue(k, dim=1).values


def _by_chunks(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the function's values (N, ...) of rows (N, D), `CHUNK` rows at a time."""
    return torch.cat([function(rows) for rows in torch.split(x, CHUNK)])


def within_balls(points: Tensor, centers: Tensor, radius: Tensor) -> Tensor:
    """Return which points (M, D) are within some ball, edges included: (M,) bool; centers (N, D), radius (N,).

    If balls reach to the k-th neighbour, the mean is precision (of fakes in the reals' balls) or recall (of reals in
    the fakes' balls) of Kynkäänniemi et al. 2019, eq. 1 and 2.
    """
    x, y = precise(points), precise(centers)
    return _by_chunks(x, lambda rows: (torch.cdist(rows, y) <= radius).any(1))


class Members(NamedTuple):
    """The values whose means are the four numbers: (N,) of fakes, (M,) of reals, (N,) of fakes, (M,) of reals."""

    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor


def members(real: Tensor, fake: Tensor, k: int = 5, divide: Divide = alone) -> Members:
    """Return the memberships in balls, which reach to each sample's k-th nearest neighbour of its kind. float64.

    Precision: fakes within (distance <= radius) some real's ball. Recall: reals within some fake's ball (Kynkäänniemi
    et al. 2019, there k = 3). Density: the number of reals' balls around a fake (distance < radius), over k. Coverage:
    reals with a fake in their ball (<) (Naeem et al. 2020). For equal distributions density averages 1 and coverage 1 -
    prod_{i=1..k} (M - i)/(M + N - i); precision and recall are then below 1. divide: who computes which rows.
    """
    x, y = precise(real), precise(fake)
    radius_real, radius_fake = (neighbour_distances(each, k, divide).to(each.device) for each in (x, y))

    def of_fakes(which: slice) -> Tensor:
        return _by_chunks(y[which], lambda rows: _around(torch.cdist(rows, x), radius_real))

    def of_reals(which: slice) -> Tensor:
        parts = zip(torch.split(x[which], CHUNK), torch.split(radius_real[which], CHUNK), strict=True)
        return torch.cat([_reached(torch.cdist(rows, y), radius_fake, own) for rows, own in parts])

    precision, balls = divide(len(y), of_fakes).unbind(1)
    recall, coverage = divide(len(x), of_reals).unbind(1)
    return Members(precision, recall, balls / k, coverage)


def _around(distances: Tensor, radius: Tensor) -> Tensor:
    """Return whether a fake is within some real's ball, and the number of balls around it: (n, 2) float64."""
    return torch.stack([(distances <= radius).any(1), (distances < radius).sum(1)], 1).double()


def _reached(distances: Tensor, radius: Tensor, own_radius: Tensor) -> Tensor:
    """Return whether a real is within some fake's ball, and whether a fake is in its own: (n, 2) float64."""
    return torch.stack([(distances <= radius).any(1), (distances < own_radius[:, None]).any(1)], 1).double()


def members_of(sets: FeatureSets, divide: Divide) -> Members:
    """Return the memberships for as many reals as fakes."""
    return members(*sets.alike, NEIGHBOURS, divide)


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

    def prepare(self, divide: Divide) -> None:
        """Compute the memberships."""
        self.sets.once(members_of, divide)

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
