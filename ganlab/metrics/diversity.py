"""Coverage of the data by samples: histograms over bins, and the effective number of samples.

Functions of features or points (N, D).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.metrics.metric import HIGHER, REAL_FEATURES, FeatureMetric, Result
from ganlab.metrics.moments import precise
from ganlab.metrics.spread import jackknife


def js_divergence(p: Tensor, q: Tensor) -> float:
    """Return the Jensen-Shannon divergence of two histograms (K,) of counts or weights, in nats: 0 to log 2.

    A bin that is empty in both adds nothing.

    >>> round(js_divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])), 6)
    0.693147
    """
    p, q = (precise(x) / x.sum() for x in (p, q))
    middle = (p + q) / 2
    return float(sum(torch.xlogy(x, x).sum() - torch.xlogy(x, middle).sum() for x in (p, q)) / 2)


def nearest(points: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each point (N, D) its distance to the nearest of the centers (K, D), and which one that is."""
    distances, which = torch.cdist(precise(points), precise(centers)).min(1)
    return distances, which


def histogram(points: Tensor, centers: Tensor) -> Tensor:
    """Return how many points are nearest to each center: (K,) int64."""
    return nearest(points, centers)[1].bincount(minlength=len(centers))


def k_means(points: Tensor, bins: int, generator: torch.Generator | None = None, rounds: int = 30) -> Tensor:
    """Return centers (bins, D) by k-means++ (Arthur & Vassilvitskii 2007) and at most `rounds` of Lloyd's iterations.

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
    """Draw starting centers: the weight of each point is its squared distance to the centers before it."""
    chosen = [int(torch.randint(len(x), (1,), generator=generator))]
    gaps = (x - x[chosen[0]]).square().sum(1)
    while len(chosen) < bins and gaps.max() > 0:
        chosen.append(int(torch.multinomial(gaps.cpu(), 1, generator=generator)))
        gaps = torch.minimum(gaps, (x - x[chosen[-1]]).square().sum(1))
    return x[chosen]


def vendi(features: Tensor) -> float:
    """Return exp of the entropy of the eigenvalues of the cosine kernel over N (Friedman & Dieng 2023): 1 to min(N, D).

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


class Vendi(FeatureMetric):
    """Effective number of different samples: exp of the entropy of their cosine kernel; beside it that of reals."""

    name = "vendi"
    better = HIGHER
    needs = (REAL_FEATURES,)

    def compute(self) -> Result:
        """Return the number with its standard error; beside it that of as many reals."""
        protocol = {"kernel": "cosine", "compared": self.sets.pairs}
        real, fake = (Result(vendi(x), jackknife(vendi, x), protocol) for x in self.sets.alike)
        fake.beside = {"vendi_of_reals": real}
        return fake
