"""Forward KL fits a model that is too wide and covers all modes, reverse KL fits one mode and ignores the rest.

One Gaussian is fitted to .5 N(-2, .5^2) + .5 N(2, .5^2): by minimising each divergence directly, by integration,
and by the adversarial game of Nowozin et al. 2016 under that divergence. Then a network plays both games
on the ring of eight Gaussians, where its form does not force it to choose.
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
from ganlab.metrics.modes import modes
from ganlab.networks import mlp
from ganlab.networks.architecture import Architecture
from ganlab.objectives import FGAN
from ganlab.regularizers import R1
from ganlab.variants import VanillaGAN

STARTS = {"kl": (1.0,), "reverse_kl": (1.0, -1.0, 0.0)}  # initial means of the Gaussian; its initial deviation is 1
ITERATIONS, EVERY, BATCH = 1800, 20, 256
RING_ITERATIONS, RING_BATCH = 6000, 64
X = torch.linspace(-9, 9, 6001, dtype=torch.float64)

COLORS = {"kl": "tab:blue", "reverse_kl": "tab:orange"}

Fit = dict[str, float]


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    density = mixture([[-2.0], [2.0]], sigma=0.5)
    fits: dict[str, dict[str, Fit]] = {}
    curves: dict[tuple[str, float], dict[str, list[float]]] = {}
    for name, start in [(name, start) for name, starts in STARTS.items() for start in starts]:
        curves[name, start] = curve = adversarial(name, start, seed)
        played = described(curve["mean"][-1], curve["deviation"][-1], density)
        fits[f"{name}, from {start:g}"] = {"direct": direct(name, start, density), "game": played}
    rings = {name: on_ring(name, seed) for name in STARTS}
    _draw(folder / "covering.png", density, fits, curves, {name: points for name, (points, _) in rings.items()})
    return {"one_gaussian": fits, "ring": {name: found for name, (_, found) in rings.items()}}


# One Gaussian, directly -------------------------------------------------------------------------------------------


def _log_normal(mean: Tensor, log_deviation: Tensor) -> Tensor:
    return -(((X - mean) / log_deviation.exp()) ** 2) / 2 - log_deviation - math.log(2 * math.pi) / 2


def divergences(mean: Tensor, log_deviation: Tensor, density: Mixture) -> dict[str, Tensor]:
    """Return KL(p || q) and KL(q || p) in nats, of the data p and one Gaussian q, by the trapezoid rule."""
    log_p, log_q = density.log_prob(X[:, None]), _log_normal(mean, log_deviation)
    return {
        "kl": torch.trapezoid(log_p.exp() * (log_p - log_q), X),
        "reverse_kl": torch.trapezoid(log_q.exp() * (log_q - log_p), X),
    }


def direct(name: str, start: float, density: Mixture) -> Fit:
    """Return the Gaussian that minimises the integral itself."""
    parameters = torch.tensor([start, 0.0], dtype=torch.float64, requires_grad=True)  # mean, log of the deviation
    solver = torch.optim.LBFGS([parameters], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        value = divergences(parameters[0], parameters[1], density)[name]
        value.backward()
        return value

    solver.step(loss)  # type: ignore[arg-type]
    mean, log_deviation = parameters.tolist()
    return described(mean, math.exp(log_deviation), density)


def described(mean: float, deviation: float, density: Mixture) -> Fit:
    """Return a Gaussian with both its divergences from the data."""
    found = divergences(torch.tensor(mean), torch.tensor(deviation).log(), density)
    return {"mean": mean, "deviation": deviation, **{name: float(value) for name, value in found.items()}}


# One Gaussian, by the game ----------------------------------------------------------------------------------------


class GaussianGenerator(nn.Module):
    """The generator x = mean + exp(log_deviation) z, which has two parameters."""

    def __init__(self, shape: Sequence[int], code_dim: int, start: float) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.full(tuple(shape), start))
        self.log_deviation = nn.Parameter(torch.zeros(code_dim))

    def forward(self, code: Tensor) -> Tensor:
        """Map noise (N, 1) to points (N, 1)."""
        return self.mean + self.log_deviation.exp() * code


def adversarial(name: str, start: float, seed: int) -> dict[str, list[float]]:
    """Return the averaged generator's two parameters during its game against a network."""
    torch.manual_seed(seed)
    data = ToyData(mixture([[-2.0], [2.0]], sigma=0.5), count=100_000, held_out_count=1000, seed=seed)
    network = Architecture(partial(GaussianGenerator, start=start), partial(mlp.Trunk, width=64, depth=2))
    sides = adam(2e-3), adam(5e-3, turns=3)
    module = game(data, network, FGAN(name), *sides, latent_dim=1, average=50 * BATCH)  # type: ignore[arg-type]
    curve: dict[str, list[float]] = {"iterations": [], "mean": [], "deviation": []}

    def look(module: VanillaGAN) -> None:
        curve["iterations"].append(module.iteration)
        curve["mean"].append(float(module.average.get_parameter("mean")))
        curve["deviation"].append(float(module.average.get_parameter("log_deviation").exp()))

    play(module, data, ITERATIONS, BATCH, look, EVERY)
    return curve


# The ring, by a network -------------------------------------------------------------------------------------------


def on_ring(name: str, seed: int) -> tuple[Tensor, dict[str, float]]:
    """Return 2,500 points of the averaged generator, and their scores: modes of 8, share of high quality."""
    torch.manual_seed(seed)
    data = ToyData(ring(), seed=seed)
    judge = adam(1e-3, regularizers={"r1": R1(0.1, every=4)})
    module = game(data, fully_connected(128, 3), FGAN(name), adam(1e-3), judge, latent_dim=2, average=20_000)  # type: ignore[arg-type]
    play(module, data, RING_ITERATIONS, RING_BATCH, lambda module: None, RING_ITERATIONS)
    with torch.no_grad():
        points = module.sample(module.draw_latent(2500))
    found = modes(points, data.modes.centers, data.modes.sigma)
    return points, {"modes": found.captured, "high_quality": found.high_quality, "mode_kl": found.kl}


# The picture ------------------------------------------------------------------------------------------------------


def _draw(
    file: Path,
    density: Mixture,
    fits: dict[str, dict[str, Fit]],
    curves: dict[tuple[str, float], dict[str, list[float]]],
    rings: dict[str, Tensor],
) -> None:
    figure, ((first, second, third, fourth),) = drawing.panels(4, width=3.6)
    first.fill_between(X, density.density(X[:, None]), color=drawing.REAL, alpha=0.3, linewidth=0, label="data")
    for name, fit in fits.items():
        for way, style in (("direct", ":"), ("game", "-")):
            q = _log_normal(torch.tensor(fit[way]["mean"]), torch.tensor(fit[way]["deviation"]).log()).exp()
            first.plot(X, q, style, color=COLORS[name.partition(",")[0]], linewidth=1.3)
    first.set(xlim=(-6, 6), xlabel="x", title="one Gaussian: game, and exact (dotted)")
    for (name, start), curve in curves.items():
        label = name.replace("_", " ") if start == 1 else None
        second.plot(curve["mean"], curve["deviation"], color=COLORS[name], label=label)
        second.plot(curve["mean"][-1], curve["deviation"][-1], "o", color=COLORS[name])
    second.set(xlabel="mean", ylabel="standard deviation", title="its way there")
    second.legend(fontsize=8)
    for axis, (name, points) in zip((third, fourth), rings.items(), strict=True):
        axis.scatter(*ring().centers.T, s=60, facecolors="none", edgecolors=drawing.REAL)
        axis.scatter(*points.T, s=2, color=COLORS[name], linewidths=0)
        axis.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal", title=f"ring, {name.replace('_', ' ')}")
    drawing.save(figure, file)
