"""Forward KL covers all modes with a model that is too wide, reverse KL takes one mode and leaves the rest.

One Gaussian is fitted to .5 N(-2, .5^2) + .5 N(2, .5^2): by minimising each divergence directly, by integration,
and by the adversarial game of Nowozin et al. 2016 under that divergence. Then a network plays both games
on the ring of eight Gaussians, where nothing forces it to choose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.data.toy import Mixture, ToyData, mixture, ring
from ganlab.lecture import drawing
from ganlab.lecture.play import adam, fully_connected, game, play
from ganlab.metrics.diversity import modes
from ganlab.networks import mlp
from ganlab.networks.architecture import Architecture
from ganlab.objectives import FGAN
from ganlab.regularizers import R1
from ganlab.variants import VanillaGAN

DIVERGENCES = ("kl", "reverse_kl")
STARTS = (0.5, -0.5)  # means that the Gaussian starts from; its deviation starts at 1
ITERATIONS, EVERY, BATCH = 1500, 25, 512
RING_ITERATIONS, RING_BATCH = 6000, 64
X = torch.linspace(-9, 9, 6001, dtype=torch.float64)

Fit = dict[str, float]


def run(folder: Path, seed: int) -> dict[str, Any]:
    density = mixture([[-2.0], [2.0]], sigma=0.5)
    fits, curves = {}, {}
    for name in DIVERGENCES:
        for start in STARTS:
            curves[name, start] = curve = adversarial(name, start, seed)
            played = described(curve["mean"][-1], curve["deviation"][-1], density)
            fits[f"{name}, from {start:g}"] = {"direct": direct(name, start, density), "game": played}
    rings = {name: on_ring(name, seed) for name in DIVERGENCES}
    _draw(folder / "covering.png", density, fits, curves, {name: points for name, (points, _) in rings.items()})
    return {"one_gaussian": fits, "ring": {name: found for name, (_, found) in rings.items()}}


# One Gaussian, directly -------------------------------------------------------------------------------------------


def _log_normal(mean: Tensor, log_deviation: Tensor) -> Tensor:
    return -(((X - mean) / log_deviation.exp()) ** 2) / 2 - log_deviation - math.log(2 * math.pi) / 2


def divergences(mean: Tensor, log_deviation: Tensor, density: Mixture) -> dict[str, Tensor]:
    """KL(p || q) and KL(q || p) in nats, of the data p and one Gaussian q, by the trapezoid rule."""
    log_p, log_q = density.log_prob(X[:, None]), _log_normal(mean, log_deviation)
    return {
        "kl": torch.trapezoid(log_p.exp() * (log_p - log_q), X),
        "reverse_kl": torch.trapezoid(log_q.exp() * (log_q - log_p), X),
    }


def direct(name: str, start: float, density: Mixture) -> Fit:
    """The Gaussian that minimises the integral itself."""
    parameters = [torch.tensor(start, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)]
    solver = torch.optim.LBFGS(
        [p.requires_grad_(True) for p in parameters], max_iter=200, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        value = divergences(*parameters, density)[name]
        value.backward()
        return value

    solver.step(loss)  # type: ignore[arg-type]
    mean, log_deviation = (float(p.detach()) for p in parameters)
    return described(mean, math.exp(log_deviation), density)


def described(mean: float, deviation: float, density: Mixture) -> Fit:
    """A Gaussian, and both its divergences from the data."""
    found = divergences(torch.tensor(mean), torch.tensor(deviation).log(), density)
    return {"mean": mean, "deviation": deviation, **{name: float(value) for name, value in found.items()}}


# One Gaussian, by the game ----------------------------------------------------------------------------------------


class GaussianGenerator(nn.Module):
    """x = mean + exp(log_deviation) z: all that it can learn are two numbers."""

    def __init__(self, shape: Sequence[int], code_dim: int, start: float) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.full(tuple(shape), start))
        self.log_deviation = nn.Parameter(torch.zeros(code_dim))

    def forward(self, code: Tensor) -> Tensor:
        return self.mean + self.log_deviation.exp() * code


def adversarial(name: str, start: float, seed: int) -> dict[str, list[float]]:
    """The averaged generator's two numbers, while it plays against a network."""
    torch.manual_seed(seed)
    data = ToyData(mixture([[-2.0], [2.0]], sigma=0.5), count=100_000, held_out_count=1000, seed=seed)
    network = Architecture(partial(GaussianGenerator, start=start), partial(mlp.Trunk, width=64, depth=2))
    sides = adam(3e-3), adam(1e-3, turns=5)
    module = game(data, network, FGAN(name), *sides, latent_dim=1, average=50 * BATCH)  # type: ignore[arg-type]
    curve: dict[str, list[float]] = {"iterations": [], "mean": [], "deviation": []}

    def look(module: VanillaGAN) -> None:
        curve["iterations"].append(module.iteration)
        curve["mean"].append(float(module.average.get_parameter("mean")))
        curve["deviation"].append(float(module.average.get_parameter("log_deviation").exp()))

    play(module, data, ITERATIONS, BATCH, look, EVERY)
    return curve
