"""Bins of the real data and how samples fall into them: which are missed, and how far the two histograms are apart."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

from ganlab.metrics.diversity import histogram, js_divergence, k_means, nearest
from ganlab.metrics.spread import jackknife

BINS, LEVEL = 100, 0.05  # Richardson & Weiss 2018


@dataclass(frozen=True)
class BinReport:
    """`different`: the share of bins that differ significantly (NDB / K); `js`: Jensen-Shannon divergence of the two
    histograms in nats, with its standard error over fakes; `missing`: bins without a fake."""

    different: float
    js: float
    js_spread: float
    missing: int
    bins: int


def bin_report(
    real: Tensor, fake: Tensor, bins: int = BINS, level: float = LEVEL, generator: torch.Generator | None = None
) -> BinReport:
    """NDB / K and JS over k-means bins of the reals (Richardson & Weiss 2018); features (M, D), (N, D).

    A perfect generator differs in about `level` of the bins; JS is then about (K - 1)(1/M + 1/N) / 8. The count misses
    the loss of a single mode, which JS sees.
    """
    centers = k_means(real, bins, generator)
    own, which = histogram(real, centers), nearest(fake, centers)[1]
    counts = which.bincount(minlength=len(centers))
    different = float((z_scores(own, counts).abs() > NormalDist().inv_cdf(1 - level / 2)).double().mean())

    def js(rows: Tensor) -> float:
        return js_divergence(own, rows.bincount(minlength=len(centers)))

    return BinReport(different, js(which), jackknife(js, which), int((counts == 0).sum()), len(centers))


def z_scores(counts1: Tensor, counts2: Tensor) -> Tensor:
    """(K,): two-proportion z with pooled variance for every bin; 0 for one that is empty in both.

    (p1 - p2) / sqrt(p (1 - p) (1/n1 + 1/n2)), p = (c1 + c2) / (n1 + n2).
    """
    n1, n2 = counts1.sum().double(), counts2.sum().double()
    p = (counts1 + counts2) / (n1 + n2)
    deviation = (p * (1 - p) * (1 / n1 + 1 / n2)).sqrt()
    difference = counts1 / n1 - counts2 / n2
    return torch.where(deviation > 0, difference / deviation.clamp(min=1e-300), torch.zeros_like(difference))
