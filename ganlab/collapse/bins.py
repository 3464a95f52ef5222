"""Partitions of the feature space, and how much of the data a histogram over one lacks. Plain torch.

A divergence in nats says little to a person. `missing_share` translates it into the share of the data that would give
the same divergence if it were never drawn. A threshold such as 5 % then means the same for every indicator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log

import numpy as np
import torch
from torch import Tensor

from ganlab.collapse.feature_sample import nearest_real
from ganlab.metrics.diversity import histogram, js_divergence, k_means

GRID = 4_001  # points of the table that inverts `js_of_missing`: one for each 1/4000 of the data
RARE = 0.2  # a bin is missing if it has less than this part of its expected samples
CHUNK = 500  # rows of the matrix of distances between reals held at once


# Histograms --------------------------------------------------------------------------------------------------------


def js_of_missing(share: float) -> float:
    """Return JS(p, q) in nats if q is p without a part of mass `share` in [0, 1], which q spreads over the rest.

    With e = share, p = (1 - e) q and the middle is m = (1 - e/2) q on the rest. On the missing part p = 2 m and q = 0.
    So JS = [(1 - e) log((1 - e) / (1 - e/2)) + e log 2 - log(1 - e/2)] / 2.

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
    """Return the share of the data that gives this divergence if it is never drawn: the inverse of `js_of_missing`.

    >>> round(missing_share(js_of_missing(0.3)), 3), missing_share(-0.01), missing_share(1.0)
    (0.3, 0.0, 1.0)
    """
    return float(np.interp(js, *_table()))


def frequencies(counts: Tensor) -> Tensor:
    """Return counts (K,) as shares of their sum, float64."""
    return counts.double() / counts.sum()


def bin_js(expected: Tensor, found: Tensor) -> float:
    """Return the Jensen-Shannon divergence of two histograms (K,) of shares, in nats."""
    return js_divergence(expected, found)


def dropped_share(expected: Tensor, found: Tensor) -> float:
    """Return the share of the data in empty bins (K,).

    A bin with at least a fifth of its expected share counts as present. Below that it counts in part, so that no
    single sample decides.

    >>> round(dropped_share(torch.tensor([0.1, 0.2, 0.7]), torch.tensor([0.0, 0.02, 0.98])), 3)
    0.2
    """
    return float((expected - found / RARE).clamp(min=0).sum())


def missing_bins(expected: Tensor, found: Tensor) -> list[int]:
    """Return the bins (K,) with less than a fifth of their expected share, in descending order of that share."""
    rare = found < RARE * expected
    return [int(number) for number in expected.argsort(descending=True) if rare[number]]


# Partitions --------------------------------------------------------------------------------------------------------


class Partition(ABC):
    """A division of the feature space into K regions.

    expected: (K,) float64 with sum 1, the shares of real samples.
    """

    expected: Tensor

    @abstractmethod
    def shares(self, points: Tensor) -> Tensor:
        """Return (K,) float64 with sum 1: the share of the points (N, D) in each region."""


@dataclass(frozen=True)
class Bins(Partition):
    """Cells of k-means on real data (the bins of Richardson and Weiss 2018), with centers (K, D)."""

    centers: Tensor
    expected: Tensor

    @classmethod
    def fit(cls, real: Tensor, count: int, generator: torch.Generator) -> Bins:
        """Return `count` bins of the data (N, D), or fewer if it has fewer different points."""
        centers = k_means(real, count, generator)
        return cls(centers, frequencies(histogram(real, centers)))

    def shares(self, points: Tensor) -> Tensor:
        """Return (K,): the share of the points (N, D) in each cell."""
        return frequencies(histogram(points, self.centers))


@dataclass(frozen=True)
class LabelRegions(Partition):
    """Regions of the feature space in which the nearest real (N, D) has the same group of labels.

    codes: (N,) int64, the group of each real. names: of the K groups; a name may be empty.
    expected: (K,), the shares that real samples get by leave-one-out. So a group that the features do not show has no
    share to lose.
    """

    reals: Tensor
    codes: Tensor
    names: tuple[str, ...]
    expected: Tensor

    @classmethod
    def fit(cls, reals: Tensor, groups: Sequence[str]) -> LabelRegions:
        """Return the regions of the reals (N, D), of which each has one of the N groups."""
        names = sorted(set(groups))
        codes = torch.tensor([names.index(group) for group in groups])
        expected = frequencies(codes[nearest_other(reals)].bincount(minlength=len(names)))
        return cls(reals, codes, tuple(names), expected)

    def shares(self, points: Tensor) -> Tensor:
        """Return (K,): the share of the points (N, D) whose nearest real has each group."""
        return frequencies(self.codes[nearest_real(points, self.reals)].bincount(minlength=len(self.names)))

    def missing(self, points: Tensor) -> list[int]:
        """Return the named groups that nearly none of the points (N, D) have, in descending order of their share."""
        return [code for code in missing_bins(self.expected, self.shares(points)) if self.names[code]]


def nearest_other(points: Tensor) -> Tensor:
    """Return (N,) int64: the index of the nearest other point of each of the points (N, D).

    >>> nearest_other(torch.tensor([[0.0], [1.0], [3.0]])).tolist()
    [1, 0, 1]
    """
    rows = torch.arange(len(points)).split(CHUNK)
    return torch.cat([_nearest_except_itself(points, part) for part in rows])


def _nearest_except_itself(points: Tensor, rows: Tensor) -> Tensor:
    distances = torch.cdist(points[rows].float(), points.float())
    distances[torch.arange(len(rows)), rows] = torch.inf
    return distances.argmin(1)
