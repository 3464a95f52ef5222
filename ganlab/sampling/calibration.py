"""What a discriminator's log ratios are worth on held-out data, and how to put them right. Plain torch.

Scores are log density ratios (N,), labels 1 for real and 0 for generated, as many of each: then log D / (1 - D), with
D(x) the chance that x is real, is the log density ratio itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

ROUNDS = 100  # of Newton's method, which needs under 10 unless the two kinds are nearly apart


@dataclass(frozen=True)
class Line:
    """log ratio = slope * score + intercept, fitted; `error` is the slope's standard error."""

    slope: float
    intercept: float
    error: float


def loss(weights: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return cross-entropy, summed: inputs (N, 2), targets (N,) in [0, 1]."""
    logits = inputs @ weights
    return (softplus(logits) - targets * logits).sum()


def fit_line(scores: Tensor, labels: Tensor) -> Line:
    """Platt 1999: logistic regression on the score, by Newton's method with halved steps, in float64.

    His targets, (n + 1) / (n + 2) and 1 / (n + 2), keep the slope finite where the two kinds do not overlap.
    """
    scores, labels = scores.double(), labels.double()
    center, scale = scores.mean(), scores.std().clamp(min=1e-12)
    inputs = torch.stack([(scores - center) / scale, torch.ones_like(scores)], 1)
    ones = labels.sum()
    targets = torch.where(labels > 0, (ones + 1) / (ones + 2), 1 / (len(labels) - ones + 2))
    weights = torch.zeros(2, dtype=torch.float64, device=scores.device)
    for _ in range(ROUNDS):
        step = torch.linalg.solve(_curvature(weights, inputs), inputs.T @ (targets - torch.sigmoid(inputs @ weights)))
        while loss(weights + step, inputs, targets) > loss(weights, inputs, targets) and step.abs().max() > 1e-9:
            step = step / 2
        weights = weights + step
        if step.abs().max() < 1e-9:
            break
    error = torch.linalg.inv(_curvature(weights, inputs))[0, 0].sqrt() / scale
    slope = weights[0] / scale
    return Line(float(slope), float(weights[1] - slope * center), float(error))


def _curvature(weights: Tensor, inputs: Tensor) -> Tensor:
    """Return the loss's second derivative (2, 2), kept from vanishing."""
    chance = torch.sigmoid(inputs @ weights)
    return (inputs * (chance * (1 - chance))[:, None]).T @ inputs + 1e-9 * torch.eye(2, device=inputs.device)


class Calibration(ABC):
    """Scores (N,) as the discriminator gives them -> log density ratios (N,) to believe, in float64."""

    @abstractmethod
    def __call__(self, scores: Tensor) -> Tensor:
        """Never falls where the score rises."""


@dataclass(frozen=True)
class Unchanged(Calibration):
    """The discriminator's word as it stands."""

    def __call__(self, scores: Tensor) -> Tensor:
        """Return the calibrated log density ratios (N,), in nats."""
        return scores.double()


@dataclass(frozen=True)
class Platt(Calibration):
    """slope * score + intercept; slope >= 0."""

    slope: float
    intercept: float

    def __call__(self, scores: Tensor) -> Tensor:
        """Return the calibrated log density ratios (N,), in nats."""
        return self.slope * scores.double() + self.intercept

    @classmethod
    def fit(cls, scores: Tensor, labels: Tensor) -> Platt:
        """A discriminator that prefers generated pictures to unseen real ones gets slope 0: its word counts nothing."""
        line = fit_line(scores, labels)
        return cls(line.slope, line.intercept) if line.slope > 0 else cls(0.0, 0.0)


@dataclass(frozen=True)
class Isotonic(Calibration):
    """Steps that only rise: `values` (B,), each from its of the `edges` (B,) on. Has no slope to follow."""

    edges: Tensor
    values: Tensor

    def __call__(self, scores: Tensor) -> Tensor:
        """Return the calibrated log density ratios (N,), in nats."""
        edges, values = self.edges.to(scores.device), self.values.to(scores.device)
        return values[(torch.bucketize(scores.double(), edges, right=True) - 1).clamp(min=0)]

    @classmethod
    def fit(cls, scores: Tensor, labels: Tensor) -> Isotonic:
        """The rising function of the score that is closest to the labels, by pooling neighbours (Ayer et al. 1955)."""
        edges, shares, members = pooled(scores, labels)
        return cls(edges, torch.logit(tempered(shares, members)))


def tempered(shares: Tensor, members: Tensor) -> Tensor:
    """Rising shares (B,) without 0 and 1, which only the ends can be: m scores of one kind say little where m is small.

    Laplace's rule: 1 / (m + 2) and (m + 1) / (m + 2), but not past the neighbour.
    """
    if len(shares) < 2:
        return shares.clamp(1 / (members + 2), (members + 1) / (members + 2))
    low = torch.minimum(shares[:1].clamp(min=1 / (members[:1] + 2)), shares[1:2])
    high = torch.maximum(shares[-1:].clamp(max=(members[-1:] + 1) / (members[-1:] + 2)), shares[-2:-1])
    return torch.cat([low, shares[1:-1], high])


def pooled(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Blocks within which the label does not rise with the score: lower edges, mean labels and members, (B,) each."""
    levels, place = torch.unique(scores.double().cpu(), return_inverse=True)
    counts = place.bincount(minlength=len(levels)).double()
    sums = torch.zeros_like(counts).index_add_(0, place, labels.double().cpu())
    blocks: list[tuple[float, float, float]] = []  # edge, sum, count
    for block in zip(levels.tolist(), sums.tolist(), counts.tolist(), strict=True):
        blocks.append(block)
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            (_, more, others), (edge, some, members) = blocks.pop(), blocks.pop()
            blocks.append((edge, some + more, members + others))
    edges, totals, members = torch.tensor(list(zip(*blocks, strict=True)), dtype=torch.float64)
    return edges, totals / members, members


def brier(scores: Tensor, labels: Tensor) -> float:
    """Return the mean of (label - D)^2: 0 when sure and right, 0.25 when every answer is 1/2 (Brier 1950)."""
    return float((labels.double() - torch.sigmoid(scores.double())).square().mean())


def z_statistic(scores: Tensor, labels: Tensor) -> float:
    """sum (label - D) / sqrt(sum D (1 - D)): standard normal if D is calibrated (Turner et al. 2019)."""
    chance = torch.sigmoid(scores.double())
    spread = (chance * (1 - chance)).sum().clamp(min=1e-12).sqrt()
    return float((labels.double() - chance).sum() / spread)
