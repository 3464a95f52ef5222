"""The Fréchet distance with what one wants to know beside it: its spread, its limit for endless samples, by class."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganlab.metrics.gathering import Sample
from ganlab.metrics.moments import Moments, frechet_distance_of_sets, precise

POINTS, SMALLEST = 15, 0.1  # sample sizes on the line, evenly spaced, and the first's share of all there is


class Estimate(NamedTuple):
    """A number and its standard error; None where that cannot be known."""

    value: float
    spread: float | None


def frechet(real: Sample, fake: Sample) -> Estimate:
    """The Fréchet distance, and its standard error over draws of the fakes with the reference held fixed.

    The error is the deviation of the distance's influence function over sqrt(N): with T the optimal map from fakes to
    reals, psi(y) = 2 (m - m_ref).(y - m) + |y - m|^2 - (y - m).T(y - m) up to a constant, because the derivative of
    tr S - 2 tr (S_ref S)^1/2 is tr dS - tr T dS. The bias, which is the larger part of a small sample's distance, is
    not in it. None where no fakes are kept.
    """
    ours, theirs = real.gaussian, fake.gaussian
    mean, covariance = theirs.mean.to(ours.mean), theirs.covariance.to(ours.mean)
    shift, centred = mean - ours.mean, precise(fake.features).to(ours.mean) - mean
    cross, transported = _transport(real, fake, covariance, centred)
    value = shift.square().sum() + (ours.covariance + covariance).trace() - 2 * cross
    if not len(centred):
        return Estimate(float(value), None)
    influence = 2 * centred @ shift + centred.square().sum(1) - transported
    return Estimate(float(value), float(influence.std()) / fake.count**0.5)


def _transport(real: Sample, fake: Sample, covariance: Tensor, centred: Tensor) -> tuple[Tensor, Tensor]:
    """tr (S_ref S)^1/2, and (y - m).T(y - m) of every kept fake. By the smallest matrix that knows them, for it has the
    least rounding: A, B are the centred rows of few reals and fakes over sqrt(N - 1), R the root of S_ref."""
    few_reals, few_fakes = (one.whole and one.count <= covariance.shape[0] for one in (real, fake))
    a, b = _rows(real) if few_reals else centred, centred / max(len(centred) - 1, 1) ** 0.5
    if few_reals and few_fakes:  # A B^T = U s V^T; b.T b is the diagonal of V s V^T
        _, s, vh = torch.linalg.svd(a @ b.T, full_matrices=False)
        return s.sum(), (len(b) - 1) * (s[:, None] * vh.square()).sum(0)
    if few_fakes:  # B S_ref B^T = V s^2 V^T
        s, v = _roots(b @ real.gaussian.covariance @ b.T)
        return s.sum(), (len(b) - 1) * (v.square() * s).sum(1)
    factor = a if few_reals else real.gaussian.root  # F S F^T = U s^2 U^T; T = F^T U s^-1 U^T F
    s, u = _roots(factor @ covariance @ factor.T)
    half = (u * torch.where(s > 1e-5 * s.max(), s.rsqrt(), 0)).T @ factor
    return s.sum(), (centred @ half.T).square().sum(1)


def _rows(sample: Sample) -> Tensor:
    """Centred, so that their Gram matrix is the covariance."""
    x = precise(sample.features)
    return (x - x.mean(0)) / (len(x) - 1) ** 0.5


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The roots of a positive semidefinite matrix's eigenvalues, and its eigenvectors."""
    values, vectors = torch.linalg.eigh(matrix)
    return values.clamp(min=0).sqrt(), vectors


def frechet_infinity(real: Sample, fake: Sample, generator: torch.Generator | None = None) -> Estimate:
    """The distance that endlessly many fakes would have (Chong & Forsyth 2020): the intercept of a line in 1 / N.

    The expected distance of N fakes is d + c / N to first order; d is fitted to `POINTS` random subsets of a tenth up
    to all of the fakes, with its standard error from the line's residuals (too small, because subsets overlap). What is
    left is the bias of the reference, and of subsets that are small against the number of features.
    """
    features = fake.features
    sizes = np.unique(np.linspace(max(2, SMALLEST * len(features)), len(features), POINTS).astype(int))
    if len(sizes) < 3:
        raise ValueError(f"a line in 1 / N needs more samples than {len(features)}")
    found = [_distance(real, features[_some(len(features), int(size), generator)]) for size in sizes]
    line, covariance = np.polyfit(1 / sizes, found, 1, cov=True)
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
    """The distance between reals and fakes of each class that has at least `fewest` of both; features (M, D), (N, D).

    High where classes are small: it compares only with itself, counts and all. `ValueError` where there is no class.
    """
    rows = [rows_of(labels) for labels in (real_labels, fake_labels)]
    classes = [one for one in rows[0] if min(len(side.get(one, ())) for side in rows) >= fewest]
    if not classes:
        raise ValueError(f"no class has {fewest} real and {fewest} generated pictures")
    return {one: frechet(Sample.of(real[rows[0][one]]), Sample.of(fake[rows[1][one]])) for one in classes}


def rows_of(labels: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """Which rows each label has, labels in order of appearance."""
    rows: dict[Hashable, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(label, []).append(row)
    return rows
