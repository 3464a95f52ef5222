"""Has the generator learned, or learned by heart? Distances to training pictures, and generated pictures' twins."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from ganlab.metrics.fidelity import CHUNK, neighbour_distances
from ganlab.metrics.moments import precise
from ganlab.metrics.spread import jackknife, standard_error

TWIN = 0.5  # of the median distance between a real and its nearest real: nearer than that, two samples are twins


def nearest_distances(samples: Tensor, pool: Tensor) -> Tensor:
    """(N,) float64: each sample's distance to the nearest of the pool; features (N, D), (M, D)."""
    x = precise(pool)
    return torch.cat([torch.cdist(rows, x).amin(1) for rows in torch.split(precise(samples), CHUNK)])


@dataclass(frozen=True)
class Copying:
    """`probability` that a fake is nearer to its nearest training sample than a training sample to its own, with its
    standard error; `ratio` of the two medians, with its own over fakes. 1/2 and 1 for fresh samples of the data's
    distribution; 1 and 0 for copies."""

    probability: float
    spread: float
    ratio: float
    ratio_spread: float


def copying(fake: Tensor, train: Tensor) -> Copying:
    """Compares distances to the training set (Meehan et al. 2020, without their cells); features (N, D), (M, D).

    What a fresh picture's distance is, training pictures tell by leaving one out. The probability is the Mann-Whitney
    statistic, ties half; its error is DeLong's (1988), from each side's share of the other.
    """
    own, found = neighbour_distances(train, 1), nearest_distances(fake, train)
    above, below = _shares(own, found), _shares(found, own)
    spread = (standard_error(above) ** 2 + standard_error(below) ** 2) ** 0.5
    middle = own.median()

    def ratio(distances: Tensor) -> float:
        return float(distances.median() / middle)

    return Copying(float(above.mean()), spread, ratio(found), jackknife(ratio, found))


def _shares(others: Tensor, values: Tensor) -> Tensor:
    """(len(values),): the share of `others` above each value, a tie counting half."""
    order = others.sort().values
    right, left = (torch.searchsorted(order, values, right=side) for side in (True, False))
    return 1 - (right + left).double() / (2 * len(order))


@dataclass(frozen=True)
class Twins:
    """`share` of samples that have a twin, `pairs` of twins, and `support`: how many different samples there would be
    if all were equally likely (None without twins)."""

    share: float
    spread: float
    pairs: int
    support: float | None


def twin_distance(real: Tensor) -> float:
    """The threshold: `TWIN` of the median distance of a real to its nearest real, of as many as there are fakes."""
    return TWIN * float(neighbour_distances(real, 1).median())


def twins(samples: Tensor, threshold: float) -> Twins:
    """Pairs of samples (N, D) nearer than `threshold`: the birthday test (Arora & Zhang 2018), counted.

    N (N - 1) / 2 pairs of a uniform support of size S hold N (N - 1) / 2S twins. A small support is no coverage, and
    the threshold decides what a twin is: look at some.
    """
    x = precise(samples)
    near = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    for start in range(0, len(x), CHUNK):
        rows = x[start : start + CHUNK]
        close = torch.cdist(rows, x) < threshold
        close[torch.arange(len(rows)), start + torch.arange(len(rows))] = False
        near[start : start + CHUNK] = close.sum(1)
    pairs = int(near.sum()) // 2
    support = len(x) * (len(x) - 1) / (2 * pairs) if pairs else None
    return Twins(float((near > 0).double().mean()), standard_error((near > 0).double()), pairs, support)


def birthday_support(batch: int, probability: float) -> float:
    """How large a uniform support is if a batch holds twins with this probability: s^2 / (2 ln(1 / (1 - p))).

    >>> round(birthday_support(400, 0.393))
    160248
    """
    return batch**2 / (2 * log(1 / (1 - probability)))
