"""Mean and covariance of features, gathered batch by batch in float64, and the distance between two such pairs.

Sums only: independent of batch size and order, and two processes' sums add up to one process's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

ACCURATE = 1e-8  # of a distance: the rounding error that is allowed


def precise(x: Tensor) -> Tensor:
    """Return `x` in float64, on the processor if its device has no float64 (Apple's)."""
    return x.cpu().double() if x.device.type == "mps" else x.double()


def root(matrix: Tensor) -> Tensor:
    """Return the symmetric root of a positive semidefinite matrix. Eigenvalues below zero are rounding: set to 0."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def trace_root_product(root1: Tensor, covariance2: Tensor) -> Tensor:
    """Return tr (S1 S2)^1/2 = tr (S1^1/2 S2 S1^1/2)^1/2, given S1^1/2: symmetric, so its eigenvalues are real."""
    return torch.linalg.eigvalsh(root1 @ covariance2 @ root1).clamp(min=0).sqrt().sum()


def frechet_distance(mean1: Tensor, covariance1: Tensor, mean2: Tensor, covariance2: Tensor) -> float:
    """Return |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2) (Dowson & Landau 1982; Heusel et al. 2017, eq. 6), in float64.

    Means (D,), covariances (D, D). Zero for equal arguments to rounding, which may leave it slightly negative.

    >>> frechet_distance(torch.zeros(2), torch.eye(2), torch.ones(2), 4 * torch.eye(2))
    4.0
    """
    first = Gaussian(precise(mean1), precise(covariance1), 0)
    return first.distance(Gaussian(precise(mean2), precise(covariance2), 0))


def rounding(roots: Tensor) -> Tensor:
    """Return a bound of the error of the sum of singular values that are the roots of a Gram matrix's eigenvalues.

    An eigenvalue errs by up to d, ten units in the last place of the largest one. Its root s errs by up to d / (2 s),
    and never by more than sqrt(d).
    """
    unit = 10 * torch.finfo(roots.dtype).eps * roots.max().square()
    return torch.minimum(unit / (2 * roots), unit.sqrt()).sum()


def is_accurate(roots: Tensor, rest: Tensor) -> bool:
    """Return whether `rounding` is small against the distance, rest - 2 times the sum of the roots.

    It is not if the two sets are equal.
    """
    return bool(2 * rounding(roots) < ACCURATE * (rest - 2 * roots.sum()))


def _nuclear_norm(cross: Tensor, rest: Tensor) -> Tensor:
    """Return the sum of the singular values of A B^T, A and B centred, for the distance rest - 2 times the sum.

    The eigenvalues of the Gram matrix take a quarter of the time. Centred rows make the smallest one zero.
    """
    wide = cross if len(cross) <= cross.shape[1] else cross.T
    roots = torch.linalg.eigvalsh(wide @ wide.T)[1:].clamp(min=0).sqrt()
    return roots.sum() if is_accurate(roots, rest) else torch.linalg.svdvals(cross).sum()


def frechet_distance_of_sets(features1: Tensor, features2: Tensor) -> float:
    """Return the Fréchet distance of two sets (N1, D), (N2, D), covariances over N - 1.

    With fewer samples than features it takes tr (S1 S2)^1/2 = |A1 A2^T|_nuclear, A the centred rows over sqrt(N - 1):
    exact, cheap, and without the covariances' rounding.
    """
    x, y = precise(features1), precise(features2)
    if max(len(x), len(y)) >= x.shape[1]:
        return Moments.of(x).gaussian().distance(Moments.of(y).gaussian())
    mean1, mean2 = x.mean(0), y.mean(0)
    a, b = (x - mean1) / (len(x) - 1) ** 0.5, (y - mean2) / (len(y) - 1) ** 0.5
    rest = (mean1 - mean2).square().sum() + a.square().sum() + b.square().sum()
    return float(rest - 2 * _nuclear_norm(a @ b.T, rest))


@dataclass(frozen=True)
class Gaussian:
    """Mean (D,) and covariance (D, D) in float64 of `count` features; keeps its covariance's root once computed."""

    mean: Tensor
    covariance: Tensor
    count: int

    @cached_property
    def root(self) -> Tensor:
        """Return the covariance's symmetric root, computed once."""
        return root(self.covariance)

    def distance(self, other: Gaussian) -> float:
        """Return the Fréchet distance. This side's root is computed and kept, so let this be the reference."""
        mean, covariance = other.mean.to(self.mean), other.covariance.to(self.mean)
        traces = self.covariance.trace() + covariance.trace()
        return float((self.mean - mean).square().sum() + traces - 2 * trace_root_product(self.root, covariance))


@dataclass
class Moments:
    """Running sums of features: how many, their sum (D,) and the sum of their outer products (D, D), in float64."""

    count: Tensor
    total: Tensor
    outer: Tensor

    @classmethod
    def empty(cls, dim: int, device: torch.device | str = "cpu") -> Moments:
        """Return the sums of no features."""
        zeros = torch.zeros(dim, dim, dtype=torch.float64, device=device)
        return cls(torch.zeros((), dtype=torch.int64, device=device), zeros[0].clone(), zeros)

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Return the sums of one batch (N, D)."""
        x = precise(features)
        return cls(torch.tensor(len(x), device=x.device), x.sum(0), x.T @ x)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.outer + other.outer)

    def gaussian(self) -> Gaussian:
        """Return mean and covariance over count - 1. Raise `ValueError` for fewer than two features."""
        count = int(self.count)
        if count < 2:
            raise ValueError(f"a covariance needs at least 2 samples, got {count}")
        mean = self.total / count
        covariance = (self.outer - count * mean.outer(mean)) / (count - 1)
        return Gaussian(mean, (covariance + covariance.T) / 2, count)
