"""Histograms over bins, and how much of the data a Jensen-Shannon divergence between them says is missing. Plain torch.

A divergence in nats says little to a person; "as much as if 26 % of the data were never drawn" says more, and lets a
setting such as "a lasting loss of 5 % counts" mean the same for all indicators.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from math import log

import numpy as np
import torch
from torch import Tensor

from ganlab.metrics.diversity import histogram, js_divergence, k_means

GRID = 4_001  # points at which the divergence of a missing share is tabled: 1/4000 of the data apart
RARE = 0.2  # a bin is missing when it has less than this part of the samples that it should have


def js_of_missing(share: float) -> float:
    """JS(p, q) in nats where q is p without a part that has the mass `share` in [0, 1], spread over the rest.

    With e = share, on the rest p = (1 - e) q and the middle m is (1 - e/2) q; on the missing part p = 2 m and q = 0:
    JS = [(1 - e) log((1 - e) / (1 - e/2)) + e log 2 - log(1 - e/2)] / 2.

    >>> round(js_of_missing(0.1), 4), round(js_of_missing(0.5), 4), round(js_of_missing(1.0), 4)
    (0.036, 0.2158, 0.6931)
    """
    middle = log(1 - share / 2)
    kept = (1 - share) * (log(1 - share) - middle) if share < 1 else 0.0
    return (kept + share * log(2) - middle) / 2


@lru_cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    shares = np.linspace(0, 1, GRID)
    return np.array([js_of_missing(float(share)) for share in shares]), shares


def missing_share(js: float) -> float:
    """The share of the data that, when it is never drawn, gives this divergence: the inverse of `js_of_missing`.

    >>> round(missing_share(js_of_missing(0.3)), 3), missing_share(-0.01), missing_share(1.0)
    (0.3, 0.0, 1.0)
    """
    return float(np.interp(js, *_table()))


class Partition(ABC):
    """Divides the feature space into K regions. `expected`: (K,) float64, summing to 1, the shares of real samples."""

    expected: Tensor

    @abstractmethod
    def shares(self, points: Tensor) -> Tensor:
        """Return (K,) float64, summing to 1: the share of the points (N, D) in each region."""


@dataclass(frozen=True)
class Bins(Partition):
    """Cells of k-means on real data (the bins of Richardson and Weiss 2018), at `centers` (K, D)."""

    centers: Tensor
    expected: Tensor

    @classmethod
    def of(cls, real: Tensor, count: int, generator: torch.Generator) -> Bins:
        """So many, or fewer where the data (N, D) have no more different points."""
        centers = k_means(real, count, generator)
        return cls(centers, frequencies(histogram(real, centers)))

    def shares(self, points: Tensor) -> Tensor:
        return frequencies(histogram(points, self.centers))


def frequencies(counts: Tensor) -> Tensor:
    """Return counts (K,) as shares of their sum, float64."""
    return counts.double() / counts.sum()


def bin_js(expected: Tensor, found: Tensor) -> float:
    """The Jensen-Shannon divergence of two histograms (K,) of shares, in nats."""
    return js_divergence(expected, found)


def dropped_share(expected: Tensor, found: Tensor) -> float:
    """The share of the data in bins (K,) that are empty. A bin with a fifth of what is expected, or more, counts as
    there; one between counts in part, so that no sample decides.

    >>> round(dropped_share(torch.tensor([0.1, 0.2, 0.7]), torch.tensor([0.0, 0.02, 0.98])), 3)
    0.2
    """
    return float((expected - found / RARE).clamp(min=0).sum())


def missing_bins(expected: Tensor, found: Tensor) -> list[int]:
    """Bins (K,) of which less than a fifth of what is expected was found, the largest first."""
    rare = found < RARE * expected
    return [int(number) for number in expected.argsort(descending=True) if rare[number]]
