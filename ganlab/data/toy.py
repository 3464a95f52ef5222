"""Points in the plane (or in any dimension) from mixtures of Gaussians whose density and modes are known.

No data are stored: training and held-out points are drawn from the seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import torch
from torch import Tensor

from ganlab.config.ranges import Count, NonNegative, Positive, PositiveInt, Probability, Seed, Workers
from ganlab.data.base import DataSpec, GanData, Modes
from ganlab.data.pictures import Pictures
from ganlab.errors import UserError


@dataclass(frozen=True)
class Mixture:
    """The mixture sum_k w_k N(x; center_k, sigma^2 I): K round Gaussians. `centers` (K, D), `weights` (K,)."""

    centers: Tensor
    sigma: float
    weights: Tensor

    def log_prob(self, points: Tensor) -> Tensor:
        """Return the log density of points, (N, D) -> (N,), in nats."""
        squared = (points[:, None].double() - self.centers.double()).square().sum(-1)
        peak = self.weights.double().log() - self.centers.shape[1] * math.log(self.sigma * math.sqrt(2 * math.pi))
        return torch.logsumexp(peak - squared / (2 * self.sigma**2), dim=1)

    def density(self, points: Tensor) -> Tensor:
        """Return the density p(x) of points, (N, D) -> (N,), in one over data units to the power D."""
        return self.log_prob(points).exp()

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Return `count` points (count, D), float32."""
        which = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, self.centers.shape[1], generator=generator)
        return self.centers[which] + self.sigma * noise


def mixture(centers: list[list[float]], sigma: Positive, weights: list[float] | None = None) -> Mixture:
    """Return a mixture of K centers of D numbers each, with K weights, equal by default. Their sum is scaled to one."""
    if not sigma > 0:
        raise UserError(f"`sigma` must be greater than 0, got {sigma}")
    if not centers or not centers[0] or any(len(center) != len(centers[0]) for center in centers):
        raise UserError(f"`centers` must be lists of equally many numbers, got {centers}")
    shares = torch.tensor(weights if weights is not None else [1.0] * len(centers))
    if len(shares) != len(centers) or not (shares > 0).all():
        raise UserError(f"`weights` must be {len(centers)} numbers greater than 0, one a center, got {weights}")
    return Mixture(torch.tensor(centers, dtype=torch.float32), sigma, shares / shares.sum())


def ring(modes: PositiveInt = 8, radius: NonNegative = 1.0, sigma: Positive = 0.01) -> Mixture:
    """Return `modes` Gaussians at equal angles on a circle.

    Source: VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018).
    """
    angles = [2 * math.pi * k / modes for k in range(modes)]  # without the end point, which equals the start
    return mixture([[radius * math.cos(angle), radius * math.sin(angle)] for angle in angles], sigma)


def grid(side: PositiveInt = 5, spacing: Positive = 2.0, sigma: Positive = 0.05) -> Mixture:
    """Return `side` x `side` Gaussians, `spacing` apart, around the origin: {-4, -2, 0, 2, 4}^2 (the same papers)."""
    places = [spacing * (k - (side - 1) / 2) for k in range(side)]
    return mixture([list(point) for point in product(places, repeat=2)], sigma)


def two_gaussians(distance: NonNegative = 4.0, sigma: Positive = 0.5, share: Probability = 0.5) -> Mixture:
    """Return two Gaussians at x = -distance / 2 and +distance / 2 in the plane. The first has `share` of the mass."""
    return mixture([[-distance / 2, 0.0], [distance / 2, 0.0]], sigma, [share, 1 - share])


class ToyData(GanData):
    """`count` training and `held_out_count` reference points of a mixture with known density and modes."""

    kinds: ClassVar[tuple[str, ...]] = ("none",)

    def __init__(
        self,
        mixture: Mixture,
        count: Count = 100_000,
        held_out_count: Count = 10_000,
        workers: Workers = 0,
        seed: Seed = 0,
    ) -> None:
        super().__init__(workers, seed)
        if count < 2 or held_out_count < 1:
            raise UserError(
                f"`data.count` must be at least 2 and `data.held_out_count` 1, got {count} and {held_out_count}"
            )
        self.mixture, self.count, self.held_out_count = mixture, count, held_out_count

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training points, the held-out points and their description."""
        generator = torch.Generator().manual_seed(self.seed)
        train = Pictures(self.mixture.sample(self.count, generator))
        reference = Pictures(self.mixture.sample(self.held_out_count, generator))
        return train, reference, DataSpec(train.shape)

    @property
    def modes(self) -> Modes:
        """Return the Gaussians' centers and their standard deviation."""
        return Modes(self.mixture.centers, self.mixture.sigma)
