"""Densities on a line: a divergence is integrated exactly, or estimated by counts in bins."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganlab.data.toy import Mixture
from ganlab.metrics.diversity import js_divergence
from ganlab.variants import VanillaGAN

SAMPLES = 20_000
WIDTH = 0.1
EDGES = torch.linspace(-6, 6, 121, dtype=torch.float64)
"""The edges of 120 bins of `WIDTH`. The points to their left and to their right are two more bins."""


def gaussian_jsd(distance: float) -> float:
    """Return JSD(N(0, 1), N(distance, 1)) in nats, by the trapezoid rule.

    It is the integral of (p log(p/m) + q log(q/m)) / 2.

    >>> round(gaussian_jsd(1.0), 6), round(gaussian_jsd(10.0), 6)
    (0.111421, 0.693146)
    """
    x = torch.linspace(-12, 12 + distance, 40_001, dtype=torch.float64)
    p, q = (torch.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi) for mean in (0.0, distance))
    m = (p + q) / 2
    return float(torch.trapezoid(torch.xlogy(p, p / m) + torch.xlogy(q, q / m), x)) / 2


def masses(density: Mixture) -> Tensor:
    """Return the exact mass of each bin, (122,)."""
    scaled = (EDGES[:, None] - density.centers[:, 0].double()) / density.sigma
    below = (torch.special.ndtr(scaled) * density.weights.double()).sum(1)
    return torch.cat([below, below.new_ones(1)]) - torch.cat([below.new_zeros(1), below])


def counts(points: Tensor) -> Tensor:
    """Return the number of points (N, 1) in each bin, (122,)."""
    return torch.bincount(torch.bucketize(points[:, 0].double(), EDGES), minlength=len(EDGES) + 1).double()


def generated(module: VanillaGAN) -> Tensor:
    """Return 20,000 generated points (20,000, 1), always from the same latents."""
    return module.sample(module.draw_latent(SAMPLES, torch.Generator().manual_seed(0)))


def true_divergence(module: VanillaGAN, density: Mixture) -> float:
    """Return the JSD in nats between the data's exact masses and the model's counts.

    Bins can only reduce the divergence. Counting 20,000 samples adds about 0.0005.
    """
    return js_divergence(masses(density), counts(generated(module)))
