"""The Fréchet distance, its standard error, its limit for infinitely many samples, and the distance of each class."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from ganlab.metrics.feature_sets import FeatureSets
from ganlab.metrics.gathering import Sample, rows_of
from ganlab.metrics.metric import LABELS, LOWER, PICTURES, FeatureMetric, Result, Target
from ganlab.metrics.moments import Moments, frechet_distance_of_sets, is_accurate, precise
from ganlab.metrics.spread import Estimate
from ganlab.processes import Divide, alone

POINTS, SMALLEST = 15, 0.1  # sample sizes on the line, evenly spaced, and the first's share of all there is


def frechet(real: Sample, fake: Sample) -> Estimate:
    """Return the Fréchet distance and its standard error over draws of the fakes, with the reference held fixed.

    The error is the deviation of the distance's influence function over sqrt(N): with T the optimal map from fakes to
    reals, psi(y) = 2 (m - m_ref).(y - m) + |y - m|^2 - (y - m).T(y - m) up to a constant, because the derivative of
    tr S - 2 tr (S_ref S)^1/2 is tr dS - tr T dS. The bias, which is the larger part of a small sample's distance, is
    not in it. None if no fakes are kept.
    """
    ours, theirs = real.gaussian, fake.gaussian
    mean, covariance = theirs.mean.to(ours.mean), theirs.covariance.to(ours.mean)
    shift, centred = mean - ours.mean, precise(fake.features).to(ours.mean) - mean
    rest = shift.square().sum() + (ours.covariance + covariance).trace()
    cross, transported = _transport(real, fake, covariance, centred, rest)
    value = (rest - 2 * cross).clamp(min=0)  # equal sets: rounding alone may be below zero
    if not len(centred):
        return Estimate(float(value), None)
    influence = 2 * centred @ shift + centred.square().sum(1) - transported
    return Estimate(float(value), float(influence.std()) / fake.count**0.5)


def _transport(real: Sample, fake: Sample, covariance: Tensor, centred: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Return tr (S_ref S)^1/2, and (y - m).T(y - m) of every kept fake.

    The smallest possible matrix is used, because it has the least rounding. rest: the distance is rest - 2 tr (S_ref
    S)^1/2. A, B are the centred rows of few reals and
    fakes over sqrt(N - 1), R the root of S_ref.
    """
    few_reals, few_fakes = (one.whole and one.count <= covariance.shape[0] for one in (real, fake))
    a, b = _rows(real) if few_reals else centred, centred / max(len(centred) - 1, 1) ** 0.5
    if few_reals and few_fakes:  # A B^T = U s V^T; b.T b is the diagonal of V s V^T
        cross = a @ b.T
        if len(b) <= len(a):  # the Gram matrix takes half of the time
            s, v = _roots(cross.T @ cross)
            if is_accurate(s[1:], rest):  # centred rows make the smallest one zero
                return s[1:].sum(), (len(b) - 1) * (v.square() * s).sum(1)
        _, s, vh = torch.linalg.svd(cross, full_matrices=False)
        return s.sum(), (len(b) - 1) * (s[:, None] * vh.square()).sum(0)
    if few_fakes:  # B S_ref B^T = V s^2 V^T
        s, v = _roots(b @ real.gaussian.covariance @ b.T)
        return s.sum(), (len(b) - 1) * (v.square() * s).sum(1)
    factor = a if few_reals else real.gaussian.root  # F S F^T = U s^2 U^T; T = F^T U s^-1 U^T F
    s, u = _roots(factor @ covariance @ factor.T)
    half = (u * torch.where(s > 1e-5 * s.max(), s.rsqrt(), 0)).T @ factor
    return s.sum(), (centred @ half.T).square().sum(1)


def _rows(sample: Sample) -> Tensor:
    """Return the centred features over sqrt(N - 1): their Gram matrix is the covariance."""
    x = precise(sample.features)
    return (x - x.mean(0)) / (len(x) - 1) ** 0.5


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the roots of a positive semidefinite matrix's eigenvalues, and its eigenvectors."""
    values, vectors = torch.linalg.eigh(matrix)
    return values.clamp(min=0).sqrt(), vectors


def frechet_infinity(
    real: Sample, fake: Sample, generator: torch.Generator | None = None, divide: Divide = alone
) -> Estimate:
    """Return the distance of infinitely many fakes (Chong & Forsyth 2020): the intercept of a line in 1 / N.

    The expected distance of N fakes is d + c / N to first order. d is fitted to `POINTS` random subsets, from a tenth
    up to all of the fakes, with its standard error from the line's residuals (too small, because subsets overlap). The
    bias of the reference remains, and that of subsets that are small against the number of features. divide: who
    computes which subset.
    """
    features = fake.features
    sizes = np.unique(np.linspace(max(2, SMALLEST * len(features)), len(features), POINTS).astype(int))
    if len(sizes) < 3:
        raise ValueError(f"a line in 1 / N needs more samples than {len(features)}")
    chosen = [_some(len(features), int(size), generator) for size in sizes]

    def distances(which: slice) -> Tensor:
        return torch.tensor([_distance(real, features[rows]) for rows in chosen[which]], dtype=torch.float64)

    line, covariance = np.polyfit(1 / sizes, divide(len(sizes), distances).numpy(), 1, cov=True)
    return Estimate(float(line[1]), float(covariance[1, 1]) ** 0.5)


def _some(total: int, count: int, generator: torch.Generator | None) -> Tensor:
    return torch.randperm(total, generator=generator)[:count]


def _distance(real: Sample, fake: Tensor) -> float:
    if real.whole and max(real.count, len(fake)) <= fake.shape[1]:
        return frechet_distance_of_sets(real.features, fake)
    return real.gaussian.distance(Moments.of(fake).gaussian())


def frechet_per_class(
    real: Tensor, real_labels: Sequence[Hashable], fake: Tensor, fake_labels: Sequence[Hashable], fewest: int = 2
) -> dict[Hashable, Estimate]:
    """Return the distance of each class with at least `fewest` reals and fakes; features (M, D), (N, D).

    It is high if classes are small: compare it at equal counts only. Raise `ValueError` if there is no such class.
    """
    rows = [rows_of(labels) for labels in (real_labels, fake_labels)]
    classes = [one for one in rows[0] if min(len(side.get(one, ())) for side in rows) >= fewest]
    if not classes:
        raise ValueError(f"no class has {fewest} real and {fewest} generated pictures")
    return {one: frechet(Sample.of(real[rows[0][one]]), Sample.of(fake[rows[1][one]])) for one in classes}


class FrechetDistance(FeatureMetric):
    """Fréchet distance between the features' normal distributions; compare at equal counts only (FID)."""

    name = "fid"
    better = LOWER
    needs = (PICTURES,)
    standard = True

    def compute(self) -> Result:
        """Return the distance with its standard error over fakes."""
        return Result.of(frechet(self.sets.real, self.sets.fake))

    @classmethod
    def doubt(cls, target: Target) -> str:
        """Return a line if a covariance of the features has not full rank, so that the distance is biased upwards."""
        features = target.features
        dim, counts = features.extractor.dim, {"generated": target.count, "real": features.real.count}
        few = [f"{count} {kind}" for kind, count in counts.items() if count <= dim]
        if not few:
            return ""
        return (
            f"{cls.name} of {' and '.join(few)} pictures is too high: their covariance of {dim} features needs more "
            f"than {dim} pictures; compare it at equal counts only, or take count={4 * dim}, kid or fid_infinity"
        )


def infinity_of(sets: FeatureSets, divide: Divide) -> Estimate:
    """Return the distance of infinitely many fakes."""
    return frechet_infinity(sets.real, sets.fake, sets.random, divide)


class FrechetInfinity(FeatureMetric):
    """The Fréchet distance of infinitely many samples, by a line in 1/N."""

    name = "fid_infinity"
    better = LOWER
    needs = (PICTURES,)

    def compute(self) -> Result:
        """Return the line's intercept with its standard error."""
        return Result.of(self.sets.once(infinity_of), points=POINTS, compared=len(self.sets.fake.features))

    def prepare(self, divide: Divide) -> None:
        """Compute the distances of the subsets."""
        self.sets.once(infinity_of, divide)


class FrechetPerClass(FeatureMetric):
    """Fréchet distance within each class, and the mean over classes."""

    name = "fid_per_class"
    better = LOWER
    needs = (LABELS,)

    def compute(self) -> Result:
        """Return the mean with the deviation between classes; beside it each class."""
        real, fake = self.sets.real, self.sets.fake
        found = frechet_per_class(real.features, real.labels, fake.features, fake.labels)
        values = torch.tensor([one.value for one in found.values()], dtype=torch.float64)
        each = {
            f"fid_class_{name}": Result.of(one, reals=real.labels.count(name), fakes=fake.labels.count(name))
            for name, one in found.items()
        }
        return Result(float(values.mean()), float(values.std(correction=0)), {"classes": len(found)}, each)
