"""Measure the calibration of a discriminator's log ratios on held-out data, and correct it. Plain torch.

Scores are log density ratios (N,), labels are 1 for real and 0 for generated, with equal numbers of both. So
log D / (1 - D), with D(x) the probability that x is real, is the log density ratio itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

ROUNDS = 100  # of Newton's method, which needs under 10 unless the two classes are nearly separable


@dataclass(frozen=True)
class Line:
    """The fitted line log ratio = slope * score + intercept. `error` is the slope's standard error."""

    slope: float
    intercept: float
    error: float


def loss(weights: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the summed cross-entropy: inputs (N, 2), targets (N,) in [0, 1]."""
    logits = inputs @ weights
    return (softplus(logits) - targets * logits).sum()


def fit_line(scores: Tensor, labels: Tensor) -> Line:
    """Return the line of logistic regression on the score (Platt 1999).

    It is fitted by Newton's method with halved steps, in float64.

    With Platt's targets, (n + 1) / (n + 2) and 1 / (n + 2), the slope is finite if the two classes do not overlap.
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
    """Return the loss's second derivative (2, 2), regularized against zero."""
    chance = torch.sigmoid(inputs @ weights)
    return (inputs * (chance * (1 - chance))[:, None]).T @ inputs + 1e-9 * torch.eye(2, device=inputs.device)


class Calibration(ABC):
    """A map from the discriminator's scores (N,) to calibrated log density ratios (N,), in float64."""

    @abstractmethod
    def __call__(self, scores: Tensor) -> Tensor:
        """Return the calibrated log density ratios (N,). The map is nondecreasing in the score."""


@dataclass(frozen=True)
class Unchanged(Calibration):
    """The identity: the discriminator's scores without calibration."""

    def __call__(self, scores: Tensor) -> Tensor:
        """Return the calibrated log density ratios (N,), in nats."""
        return scores.double()


@dataclass(frozen=True)
class Platt(Calibration):
    """The calibration slope * score + intercept, with slope >= 0."""

    slope: float
    intercept: float

    def __call__(self, scores: Tensor) -> Tensor:
        """Return the calibrated log density ratios (N,), in nats."""
        return self.slope * scores.double() + self.intercept

    @classmethod
    def fit(cls, scores: Tensor, labels: Tensor) -> Platt:
        """Fit the line. The slope is 0 if the discriminator prefers generated pictures to unseen real ones.

        With slope 0 the scores have no effect.
        """
        line = fit_line(scores, labels)
        return cls(line.slope, line.intercept) if line.slope > 0 else cls(0.0, 0.0)


@dataclass(frozen=True)
class Isotonic(Calibration):
    """A nondecreasing step function. It is `values[b]` from `edges[b]` on, (B,) each. It has no gradient to follow."""

    edges: Tensor
    values: Tensor

    def __call__(self, scores: Tensor) -> Tensor:
        """Return the calibrated log density ratios (N,), in nats."""
        edges, values = self.edges.to(scores.device), self.values.to(scores.device)
        return values[(torch.bucketize(scores.double(), edges, right=True) - 1).clamp(min=0)]

    @classmethod
    def fit(cls, scores: Tensor, labels: Tensor) -> Isotonic:
        """Fit the nondecreasing function of the score that is closest to the labels, by pooling (Ayer et al. 1955)."""
        edges, shares, members = pooled(scores, labels)
        return cls(edges, torch.logit(tempered(shares, members)))


def tempered(shares: Tensor, members: Tensor) -> Tensor:
    """Return nondecreasing shares (B,) without 0 and 1, which only the ends can be.

    m scores of one class are weak evidence if m is small. Laplace's rule gives 1 / (m + 2) and (m + 1) / (m + 2), but
    not past the neighbour.
    """
    if len(shares) < 2:
        return shares.clamp(1 / (members + 2), (members + 1) / (members + 2))
    low = torch.minimum(shares[:1].clamp(min=1 / (members[:1] + 2)), shares[1:2])
    high = torch.maximum(shares[-1:].clamp(max=(members[-1:] + 1) / (members[-1:] + 2)), shares[-2:-1])
    return torch.cat([low, shares[1:-1], high])


def pooled(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the blocks of pool adjacent violators: lower edges, mean labels and members, (B,) each.

    Within a block the label does not rise with the score.
    """
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
    """Return the mean of (label - D)^2: 0 if sure and right, 0.25 if every D is 1/2 (Brier 1950)."""
    return float((labels.double() - torch.sigmoid(scores.double())).square().mean())


def z_statistic(scores: Tensor, labels: Tensor) -> float:
    """Return sum (label - D) / sqrt(sum D (1 - D)), standard normal if D is calibrated (Turner et al. 2019)."""
    chance = torch.sigmoid(scores.double())
    spread = (chance * (1 - chance)).sum().clamp(min=1e-12).sqrt()
    return float((labels.double() - chance).sum() / spread)
