"""Noise on real and generated samples restores the minimax generator's gradient between disjoint supports.

Sønderby et al. 2017; Arjovsky and Bottou 2017, section 3. Two points at distance d, under noise sigma, are
N(0, sigma^2) and N(d, sigma^2). Their divergence and the generator's gradient are integrals, and are also measured with
a trained discriminator. Then comes the game itself: the data are on a thin segment, the generator begins as another
segment, and the discriminator is sure already.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.core.sides import Side
from ganlab.data.toy import Mixture, ToyData, mixture
from ganlab.lecture import drawing
from ganlab.lecture.line import gaussian_jsd
from ganlab.lecture.play import Source, adam, discriminator, falling, game, learn, play, reading, shuffled
from ganlab.networks import mlp
from ganlab.networks.architecture import Architecture
from ganlab.objectives import Minimax, NonSaturating, Objective
from ganlab.perturbations import InstanceNoise
from ganlab.variants import VanillaGAN

OBJECTIVES: dict[str, Objective] = {"minimax": Minimax(), "nonsaturating": NonSaturating()}
LINES = {"noise": {"linestyle": "--"}, "no noise": {}, "no noise, no lead": {"color": "tab:brown", "linestyle": ":"}}
COLORS = {"minimax": "tab:orange", "nonsaturating": "tab:blue"}
RATIOS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)  # d / sigma
SHOWN = (1.0, 4.0, 8.0)  # ratios whose D(x) is drawn
X = torch.linspace(-1, 2, 301)[:, None]  # in units of d
STEPS, HELD_OUT = 1000, 500_000

AWAY, THIN, LATENT = -2.0, 0.005, 1  # the place of the data's segment, and its thickness
SIGMA = 1.0  # of the noise at first: half of the distance between the two
REPEATS, ITERATIONS, EVERY, BATCH, TURNS, SURE = 3, 600, 25, 64, 2, 1500

Row = dict[str, Any]
Curve = dict[str, list[float]]


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    torch.manual_seed(seed)
    points = {ratio: between_points(ratio) for ratio in RATIOS}
    games = {str(setting): [played(setting, seed + n) for n in range(REPEATS)] for setting in SETTINGS}
    _draw(folder / "noise.png", points, games)
    return {
        "points": {f"{ratio:g}": {key: row[key] for key in row if key != "judged"} for ratio, row in points.items()},
        "games": {name: _summary(several) for name, several in games.items()},
        "curves": games,
    }


# Two points -------------------------------------------------------------------------------------------------------


def between_points(ratio: float) -> Row:
    """Return a discriminator's estimates beside the exact values.

    It learns from samples at 0 and d = 1 under noise of deviation 1 / ratio.
    """
    real, fake = around(0.0, 1 / ratio), around(1.0, 1 / ratio)
    network = discriminator(1)
    learn(network, OBJECTIVES["nonsaturating"], falling(3e-3, STEPS), real, fake, STEPS, batch=512)
    said, truth = reading(network, OBJECTIVES["nonsaturating"], real(HELD_OUT), fake(HELD_OUT)), gaussian_jsd(ratio)
    pulls = {name: pull(network, objective, fake(HELD_OUT)) for name, objective in OBJECTIVES.items()}
    with torch.no_grad():
        judged = torch.sigmoid(network(X)).tolist()
    return {"jsd": truth, "jsd_read": said, "pull": exact_pull(ratio), "pull_measured": pulls, "judged": judged}


def around(place: float, sigma: float) -> Source:
    """Return a source of a point with noise: N(place, sigma^2), (N, 1)."""
    return lambda count: place + sigma * torch.randn(count, 1)


def pull(network: nn.Module, objective: Objective, fake: Tensor) -> float:
    """Return d loss / d theta of a generator that draws the point theta. If positive, descent leads to the data."""
    fake = fake.requires_grad_(True)
    (gradient,) = torch.autograd.grad(objective.generator(network(fake)).sum(), fake)
    return float(gradient.mean())


def exact_pull(ratio: float) -> dict[str, float]:
    """Return the exact gradients in units of 1 / d, at the optimal discriminator.

    Its logit at theta + sigma e is v = -r^2 / 2 - r e, with r = ratio. Its slope is -r^2. So the gradient is
    r^2 E[sigmoid(v)] under minimax and r^2 E[sigmoid(-v)] under the non-saturating objective.
    """
    e = torch.linspace(-12 - ratio, 12, 40_001, dtype=torch.float64)
    v, density = -(ratio**2) / 2 - ratio * e, torch.exp(-(e**2) / 2) / math.sqrt(2 * math.pi)
    heard = {"minimax": torch.sigmoid(v), "nonsaturating": torch.sigmoid(-v)}
    return {name: ratio**2 * float(torch.trapezoid(density * share, e)) for name, share in heard.items()}


# Two segments -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """The generator's objective and optimizer, the initial noise, and the discriminator's lead."""

    objective: str
    optimizer: str
    sigma: float
    ahead: int = SURE

    def __str__(self) -> str:
        ahead = "" if self.ahead else ", no lead"
        return f"{self.objective}, {self.optimizer}, {'noise' if self.sigma else 'no noise'}{ahead}"


SETTINGS = (
    *(Setting(objective, "descent", sigma) for objective in OBJECTIVES for sigma in (0.0, SIGMA)),
    *(Setting("minimax", "Adam", sigma) for sigma in (0.0, SIGMA)),
    *(Setting("minimax", optimizer, 0.0, ahead=0) for optimizer in ("descent", "Adam")),
)
STEPPING: dict[str, Callable[[], Side]] = {
    "descent": lambda: Side(partial(torch.optim.SGD, lr=0.03)),  # steps in proportion to the gradient
    "Adam": lambda: adam(1e-3),  # steps whose length does not depend on the gradient's
}


def segment(x: float) -> Mixture:
    """Return points (x, y) with y from -1 to 1, a hundredth thick: 41 Gaussians in a row."""
    return mixture([[x, -1 + k / 20] for k in range(41)], THIN)


def short(shape: Sequence[int], code_dim: int) -> nn.Module:
    """Return a generator whose first pictures are on a line of length about 0.4 near the origin."""
    network = mlp.Generator(shape, code_dim, width=64, depth=2)
    network.out[0].get_parameter("weight").data.mul_(0.1)
    return network


def played(setting: Setting, seed: int) -> Curve:
    """Return the distances and the generator's gradient during the game. Noise fades over the first half."""
    torch.manual_seed(seed)
    data = ToyData(segment(AWAY), count=20_000, held_out_count=1000, seed=seed)
    noise = {"noise": InstanceNoise(setting.sigma, until=ITERATIONS * BATCH * TURNS // 2)} if setting.sigma else {}
    network = Architecture(short, partial(mlp.Trunk, width=64, depth=2), noise)
    objective = OBJECTIVES[setting.objective]
    module = game(data, network, objective, STEPPING[setting.optimizer](), adam(1e-3, turns=TURNS), LATENT)
    _take_lead(module, data, setting.ahead)
    curve: Curve = {"iterations": [], "distance": [], "missed": [], "gradient": []}
    play(module, data, ITERATIONS, BATCH, partial(_note, curve), EVERY)
    return curve


def _take_lead(module: VanillaGAN, data: ToyData, turns: int) -> None:
    """Train the discriminator to tell the first pictures from the data, before the generator has a turn."""
    real, fake = shuffled(torch.as_tensor(data.train.images)), module.sample(torch.randn(5000, LATENT))
    learn(module.discriminator, module.objective, adam(1e-3), real, shuffled(fake), turns, BATCH)


@torch.enable_grad()
def _note(curve: Curve, module: VanillaGAN) -> None:
    points = module.generator(torch.randn(2000, LATENT, generator=torch.Generator().manual_seed(0)))
    loss = module.objective.generator(module.discriminator(points)).mean()
    gradients = torch.autograd.grad(loss, list(module.generator.parameters()))
    curve["iterations"].append(module.iteration)
    curve["distance"].append(float(to_segment(points.detach()).mean()))
    curve["missed"].append(float(from_segment(points.detach()).mean()))
    curve["gradient"].append(math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients)))


def to_segment(points: Tensor) -> Tensor:
    """Return the distance of each point from the data's segment, (N, 2) -> (N,)."""
    beside, beyond = points[:, 0] - AWAY, (points[:, 1].abs() - 1).clamp_min(0)
    return torch.hypot(beside, beyond)


def from_segment(points: Tensor) -> Tensor:
    """Return the distance of each place of the data's segment from the nearest of the points (N, 2): (41,)."""
    y = torch.linspace(-1, 1, 41)
    return torch.cdist(torch.stack([torch.full_like(y, AWAY), y], 1), points).min(1).values


def _summary(several: list[Curve]) -> dict[str, list[float]]:
    """Return, for each seed, the gradient at the start, the greatest distance, and means over the last quarter."""
    tail = slice(-ITERATIONS // EVERY // 4, None)
    return {
        "gradient_at_first": [curve["gradient"][0] for curve in several],
        "gradient_at_last": [statistics.mean(curve["gradient"][tail]) for curve in several],
        "distance_at_worst": [max(curve["distance"]) for curve in several],
        "distance_at_last": [statistics.mean(curve["distance"][tail]) for curve in several],
        "missed_at_last": [statistics.mean(curve["missed"][tail]) for curve in several],
    }


# The picture ------------------------------------------------------------------------------------------------------


def _draw(file: Path, points: dict[float, Row], games: dict[str, list[Curve]]) -> None:
    figure, (above, below) = drawing.panels(3, rows=2)
    _draw_points(above[0], above[1], above[2], points)
    for name, several in games.items():
        objective, optimizer, noise = name.split(", ", 2)
        style: dict[str, Any] = {"color": COLORS[objective], **LINES[noise]}
        for n, curve in enumerate(several):
            label = f"{objective}, {noise}" if n == 0 else None
            axis = below[0] if optimizer == "descent" else below[2]
            axis.semilogy(curve["iterations"], curve["distance"], linewidth=1, label=label, **style)
            if optimizer == "descent":
                below[1].semilogy(curve["iterations"], curve["gradient"], linewidth=1, label=label, **style)
    below[0].set(ylabel="mean distance to the data", title="generator by gradient descent")
    below[1].set(ylabel="norm of the generator's gradient", title="generator by gradient descent")
    below[2].set(ylabel="mean distance to the data", title="generator by Adam")
    for axis in below:
        axis.set_xlabel("iterations")
        axis.axvline(ITERATIONS / 2, color="0.6", linestyle=":")
    for axis in figure.axes:
        axis.legend(fontsize=7, loc="lower left" if axis is below[0] else "best")
    drawing.save(figure, file)


def _draw_points(first: Any, second: Any, third: Any, points: dict[float, Row]) -> None:
    grid = [0.1 * k for k in range(2, 101)]
    first.plot(grid, [gaussian_jsd(ratio) for ratio in grid], color=drawing.TRUTH, label="exact")
    first.plot(RATIOS, [row["jsd_read"] for row in points.values()], "o", color=drawing.JUDGED, label="read, held out")
    first.set(xlabel="d / sigma", ylabel="JSD (nats)", title="two points at distance d under noise")
    for name, color in COLORS.items():
        second.semilogy(grid, [exact_pull(ratio)[name] for ratio in grid], color=color, label=f"{name}, exact")
        measured = [row["pull_measured"][name] for row in points.values()]
        second.semilogy(RATIOS, measured, "o", color=color, label=f"{name}, measured")
    second.set(xlabel="d / sigma", title="d x gradient of the generator's point")
    for axis in (first, second):
        axis.axvspan(4, 8, color="0.92")
    for ratio, shade in zip(SHOWN, ("0.7", "0.45", "0.1"), strict=True):
        third.plot(X[:, 0], points[ratio]["judged"], color=shade, label=f"sigma = d / {ratio:g}")
    third.plot([0, 1], [0, 0], "^", color="black", markersize=4)
    third.set(xlabel="x / d (data at 0, generator at 1)", title="D(x)")
