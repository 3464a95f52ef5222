"""Bins of the real data: the bins that samples miss, and the distance between the two histograms."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

from ganlab.metrics.diversity import histogram, js_divergence, k_means, nearest
from ganlab.metrics.metric import LOWER, REAL_FEATURES, FeatureMetric, Result
from ganlab.metrics.spread import jackknife

BINS, LEVEL = 100, 0.05  # Richardson & Weiss 2018


@dataclass(frozen=True)
class BinReport:
    """A comparison of the histograms of reals and fakes.

    different: the share of bins that differ significantly (NDB / K). js: Jensen-Shannon divergence of the two
    histograms in nats. js_spread: its standard error over fakes. missing: the number of bins without a fake.
    """

    different: float
    js: float
    js_spread: float
    missing: int
    bins: int


def bin_report(
    real: Tensor, fake: Tensor, bins: int = BINS, level: float = LEVEL, generator: torch.Generator | None = None
) -> BinReport:
    """Return NDB / K and JS over k-means bins of the reals (Richardson & Weiss 2018); features (M, D), (N, D).

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
    """Return the two-proportion z with pooled variance of each bin (K,); 0 for a bin that is empty in both.

    (p1 - p2) / sqrt(p (1 - p) (1/n1 + 1/n2)), p = (c1 + c2) / (n1 + n2).
    """
    n1, n2 = counts1.sum().double(), counts2.sum().double()
    p = (counts1 + counts2) / (n1 + n2)
    deviation = (p * (1 - p) * (1 / n1 + 1 / n2)).sqrt()
    difference = counts1 / n1 - counts2 / n2
    return torch.where(deviation > 0, difference / deviation.clamp(min=1e-300), torch.zeros_like(difference))


class DifferentBins(FeatureMetric):
    """Share of 100 bins of the reals with significantly more or fewer fakes (NDB); beside it `bin_js`."""

    name = "ndb"
    better = LOWER
    needs = (REAL_FEATURES,)

    def compute(self) -> Result:
        """Return the share of different bins; beside it the Jensen-Shannon divergence of the histograms."""
        found = bin_report(*self.sets.alike, generator=self.sets.random)
        protocol = {"bins": found.bins, "level": LEVEL, "compared": self.sets.pairs}
        return Result(found.different, None, protocol, {"bin_js": Result(found.js, found.js_spread, protocol)})
