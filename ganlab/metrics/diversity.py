"""How much of the data a generator covers: bins, known modes, effective number of samples, and the healthy level.

Functions on features or points (N, D). A number alone says little here: `split_half` gives what the same number is
between two halves of the real data.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import log, log1p

import torch
from torch import Tensor

from ganlab.metrics.fidelity import manifold
from ganlab.metrics.moments import precise

Indicator = Callable[[Tensor, Tensor], float]
"""(reference (M, D), sample (N, D)) -> how far the sample is from covering the reference."""


def js_divergence(p: Tensor, q: Tensor) -> float:
    """Jensen-Shannon divergence of two histograms (K,) of counts or weights, in nats: 0 to log 2.

    A bin that is empty in both adds nothing.

    >>> round(js_divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])), 6)
    0.693147
    """
    p, q = (precise(x) / x.sum() for x in (p, q))
    middle = (p + q) / 2
    return float(sum(torch.xlogy(x, x).sum() - torch.xlogy(x, middle).sum() for x in (p, q)) / 2)


def nearest(points: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """For each point (N, D) its distance to the nearest of the centers (K, D), and which one that is."""
    distances, which = torch.cdist(precise(points), precise(centers)).min(1)
    return distances, which


def histogram(points: Tensor, centers: Tensor) -> Tensor:
    """How many points are nearest to each center: (K,) int64."""
    return nearest(points, centers)[1].bincount(minlength=len(centers))


def k_means(points: Tensor, bins: int, generator: torch.Generator | None = None, rounds: int = 30) -> Tensor:
    """Centers (bins, D) by k-means++ (Arthur & Vassilvitskii 2007) and at most `rounds` of Lloyd's iterations.

    A bin that runs empty keeps its center. With fewer distinct points than bins there are as many centers as points.
    """
    x = precise(points)
    centers = _spread_out(x, bins, generator)
    for _ in range(rounds):
        which = nearest(x, centers)[1]
        counts = which.bincount(minlength=len(centers))[:, None]
        sums = torch.zeros_like(centers).index_add_(0, which, x)
        moved = torch.where(counts > 0, sums / counts.clamp(min=1), centers)
        if torch.equal(moved, centers):
            break
        centers = moved
    return centers


def _spread_out(x: Tensor, bins: int, generator: torch.Generator | None) -> Tensor:
    """Starting centers: each drawn with the squared distance to those before it as its weight."""
    chosen = [int(torch.randint(len(x), (1,), generator=generator))]
    gaps = (x - x[chosen[0]]).square().sum(1)
    while len(chosen) < bins and gaps.max() > 0:
        chosen.append(int(torch.multinomial(gaps.cpu(), 1, generator=generator)))
        gaps = torch.minimum(gaps, (x - x[chosen[-1]]).square().sum(1))
    return x[chosen]


def bin_distance(reference: Tensor, sample: Tensor, bins: int = 20, generator: torch.Generator | None = None) -> float:
    """Jensen-Shannon divergence, in nats, between the two sets' histograms over k-means bins of the reference.

    The bins of Richardson & Weiss 2018 without their test: the test's count misses single modes.
    """
    centers = k_means(reference, bins, generator)
    return js_divergence(histogram(reference, centers), histogram(sample, centers))


def recall(reference: Tensor, sample: Tensor, k: int = 5) -> float:
    """The fraction of the reference within the sample's neighbourhoods (see `fidelity.manifold`)."""
    return manifold(reference, sample, k).recall


@dataclass(frozen=True)
class Level:
    """What an indicator is on real data alone."""

    mean: float
    deviation: float

    def z(self, value: float) -> float:
        """How many of its own standard deviations `value` lies from the mean."""
        return (value - self.mean) / max(self.deviation, 1e-12)


def split_half(
    indicator: Indicator, real: Tensor, size: int, repeats: int = 20, generator: torch.Generator | None = None
) -> Level:
    """The indicator's mean and standard deviation between two disjoint random parts of the real data.

    The first part is the reference, the second the sample of `size`. When 2 * `size` exceeds what there is, both are
    halves: pass samples of that size (`min(size, len(real) // 2)`) to compare like with like.
    """
    size = min(size, len(real) // 2)
    values = []
    for _ in range(repeats):
        order = torch.randperm(len(real), generator=generator).to(real.device)
        values.append(indicator(real[order[size : 2 * size]], real[order[:size]]))
    drawn = torch.tensor(values, dtype=torch.float64)
    return Level(float(drawn.mean()), float(drawn.std()))


@dataclass(frozen=True)
class ModeReport:
    """`captured` of `total` modes; the fraction of high-quality samples; their histogram's KL to uniform, in nats."""

    captured: int
    total: int
    high_quality: float
    kl: float


def modes(points: Tensor, centers: Tensor, sigma: float, radius: float = 3.0, at_least: int = 1) -> ModeReport:
    """The standard count on mixtures of Gaussians (Srivastava et al. 2017; Lin et al. 2018).

    A sample is of high quality within `radius` * `sigma` of its nearest center; a mode is captured with `at_least`
    such samples; KL(histogram of those samples || uniform), log K when there are none. A perfect generator has a
    high-quality fraction of 1 - exp(-9/2) = 0.98889 in two dimensions and a KL of about (K - 1) / 2N.
    """
    distances, which = nearest(points, centers)
    good = distances < radius * sigma
    counts = which[good].bincount(minlength=len(centers))
    found = captured(counts, at_least)
    return ModeReport(found, len(centers), float(good.double().mean()), kl_to_uniform(counts))


def captured(counts: Tensor, at_least: int = 1) -> int:
    """How many modes have that many samples; counts: (K,).

    Where an eye that errs finds the modes, one sample proves little: a generator that knows a single mode hits others.
    """
    return int((counts >= at_least).sum())


def kl_to_uniform(counts: Tensor) -> float:
    """KL(histogram || uniform) of counts (K,), in nats: 0 to log K, which it also is where all are 0.

    >>> round(kl_to_uniform(torch.tensor([3, 1])), 6)  # 3/4 log 3/2 + 1/4 log 1/2
    0.130812
    """
    share = precise(counts) / counts.sum().clamp(min=1)
    return float(torch.xlogy(share, share * len(counts)).sum()) if counts.any() else log(len(counts))


def uniform_floor(samples: int, modes: int) -> float:
    """What `kl_to_uniform` is on average for samples that are uniform over the modes: about (K - 1) / 2N for N >> K.

    Exactly: K E[c/N log(K c/N)] with c from Binomial(N, 1/K), for K of at least 2.

    >>> round(uniform_floor(1, 8), 6), round(uniform_floor(26_000, 1000), 4)  # log 8
    (2.079442, 0.0193)
    """
    count = torch.arange(1, samples + 1, dtype=torch.float64)
    total = torch.tensor(float(samples), dtype=torch.float64)
    ways = torch.lgamma(total + 1) - torch.lgamma(count + 1) - torch.lgamma(total - count + 1)
    chance = (ways - count * log(modes) + (total - count) * log1p(-1 / modes)).exp()
    share = count / samples
    return float(modes * (chance * share * (share * modes).log()).sum())


def vendi(features: Tensor) -> float:
    """exp of the entropy of the eigenvalues of the cosine kernel over N (Friedman & Dieng 2023): 1 to min(N, D).

    The effective number of different samples: N for orthogonal features, 1 for N copies. Takes whichever of the two
    Gram matrices is the smaller: their non-zero eigenvalues are the same. Feature vectors of zeros have no direction:
    they are copies of each other, and orthogonal to all the rest.

    >>> round(vendi(torch.zeros(4, 3)), 6), round(vendi(torch.tensor([[2.0], [0.0]])), 6)
    (1.0, 2.0)
    """
    x = torch.nn.functional.normalize(precise(features), dim=1)
    zero = (x == 0).all(1, keepdim=True)
    x = torch.cat([x, zero], 1) / len(features) ** 0.5
    values = torch.linalg.eigvalsh(x.T @ x if x.shape[1] < len(x) else x @ x.T).clamp(min=0)
    values = values / values.sum()
    return float(torch.exp(-torch.xlogy(values, values).sum()))


def within_conditions(features: Tensor, conditions: Sequence[Hashable]) -> float:
    """The mean distance between two samples of one condition, averaged over the conditions that have two samples.

    features: (N, d). Against the same number of real samples it says how much of the variety is left once the
    condition is given, which unconditional numbers cannot see. ValueError where no condition has two samples.
    """
    rows: dict[Hashable, list[int]] = {}
    for row, condition in enumerate(conditions):
        rows.setdefault(condition, []).append(row)
    distances = [torch.pdist(features[group].double()).mean() for group in rows.values() if len(group) > 1]
    if not distances:
        raise ValueError("diversity within conditions needs a condition with two samples")
    return float(torch.stack(distances).mean())
