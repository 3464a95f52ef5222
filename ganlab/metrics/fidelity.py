"""How like real pictures generated ones are: Fréchet, kernel, Inception score, precision, recall, density, coverage.

Functions on features (N, D) and logits (N, K); which network made them is the caller's business and part of a
result's protocol.
"""

from __future__ import annotations

from itertools import pairwise
from math import log
from typing import NamedTuple

import torch
from torch import Tensor

from ganlab.metrics.frechet import frechet, frechet_infinity, frechet_per_class
from ganlab.metrics.kernels import cmmd, kernel_distance, kid
from ganlab.metrics.moments import Gaussian, Moments, frechet_distance, frechet_distance_of_sets, precise

__all__ = [
    "Gaussian",
    "Manifold",
    "Members",
    "Moments",
    "cmmd",
    "frechet",
    "frechet_distance",
    "frechet_distance_of_sets",
    "frechet_infinity",
    "frechet_per_class",
    "inception_score",
    "kernel_distance",
    "kid",
    "manifold",
    "members",
    "neighbour_distances",
]

CHUNK = 1024  # rows of a distance matrix held at once


def inception_score(logits: Tensor, splits: int = 10, generator: torch.Generator | None = None) -> tuple[float, float]:
    """exp E KL(p(y|x) || p(y)) (Salimans et al. 2016): mean and standard deviation (over `splits`) of the parts.

    `logits` (N, K), shuffled by `generator` before they are split when there is one. Between 1 and K.
    """
    if len(logits) < splits:
        raise ValueError(f"`splits` must be at most {len(logits)}, the samples there are, got {splits}")
    rows = logits if generator is None else logits[torch.randperm(len(logits), generator=generator).to(logits.device)]
    edges = [i * len(rows) // splits for i in range(splits + 1)]
    parts = (precise(rows[start:end]) for start, end in pairwise(edges))
    scores = torch.stack([_score(part.log_softmax(1)) for part in parts])
    return float(scores.mean()), float(scores.std(correction=0))


def _score(log_p: Tensor) -> Tensor:
    log_mean = log_p.logsumexp(0) - log(len(log_p))
    return (log_p.exp() * (log_p - log_mean)).sum(1).mean().exp()


class Manifold(NamedTuple):
    """Precision, recall, density, coverage."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_distances(features: Tensor, k: int) -> Tensor:
    """(N,) float64: each sample's distance to its k-th nearest other sample."""
    if not 1 <= k < len(features):
        raise ValueError(f"`k` must be between 1 and {len(features) - 1}, the other samples there are, got {k}")
    x = precise(features)
    return torch.cat([torch.cdist(rows, x).kthvalue(k + 1, dim=1).values for rows in torch.split(x, CHUNK)])


class Members(NamedTuple):
    """What the four are means of: (N,) of fakes, (M,) of reals, (N,) of fakes, (M,) of reals; float64."""

    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor


def manifold(real: Tensor, fake: Tensor, k: int = 5) -> Manifold:
    """Four numbers from balls that reach to each sample's k-th nearest neighbour of its own kind.

    Precision: the fraction of fakes within (distance <= radius) some real's ball; recall: of reals within some fake's
    ball (Kynkäänniemi et al. 2019, there k = 3). Density: reals' balls around a fake (distance < radius), over k;
    coverage: the fraction of reals with a fake in their ball (<) (Naeem et al. 2020). For equal distributions density
    averages 1 and coverage 1 - prod_{i=1..k} (M - i)/(M + N - i); precision and recall are then NOT 1.
    """
    return Manifold(*(part.mean().item() for part in members(real, fake, k)))


def members(real: Tensor, fake: Tensor, k: int = 5) -> Members:
    """The same sample by sample: who is in whose ball. One row block of distances is held at a time."""
    x, y = precise(real), precise(fake)
    radius_real, radius_fake = neighbour_distances(x, k), neighbour_distances(y, k)
    hit = torch.zeros(len(y), dtype=torch.bool, device=y.device)
    balls = torch.zeros(len(y), dtype=torch.int64, device=y.device)
    recalled, covered = [], []
    for rows, radius in zip(torch.split(x, CHUNK), torch.split(radius_real, CHUNK), strict=True):
        distances = torch.cdist(rows, y)
        within = distances < radius[:, None]
        hit |= (distances <= radius[:, None]).any(0)
        balls += within.sum(0)
        covered.append(within.any(1))
        recalled.append((distances <= radius_fake).any(1))
    return Members(hit.double(), torch.cat(recalled).double(), balls.double() / k, torch.cat(covered).double())
