"""A trained discriminator measures the Jensen-Shannon divergence, on held-out samples and up to log 2.

Goodfellow et al. 2014, section 4.1: at the optimal discriminator the cross-entropy is 2 log 2 - 2 JSD. Three things are
measured: the estimate between N(0, 1) and N(d, 1) against the exact value; the estimate between two samples of the
same distribution, where the truth is zero; and the same when a network memorizes the samples.
"""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.lecture import drawing
from ganlab.lecture.line import gaussian_jsd
from ganlab.lecture.play import discriminator, falling, learn, learning, reading, shuffled
from ganlab.objectives import NonSaturating

OBJECTIVE = NonSaturating()
DISTANCES = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)  # in standard deviations
TRAIN, HELD_OUT = 50_000, 500_000
STEPS = 2000
ALIKE = ((10, 50), (10, 200), (10, 1000), (50, 500), (100, 200), (100, 1000))  # dimensions, samples of each side
REPEATS = 40
HEART = (10, 200)  # dimensions and samples that a network memorizes


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    torch.manual_seed(seed)
    gaussians = {distance: between_gaussians(distance) for distance in DISTANCES}
    alike = {sizes: of_nothing(*sizes) for sizes in ALIKE}
    heart = by_heart(*HEART)
    _draw(folder / "meter.png", gaussians, alike, heart)
    return {
        "gaussians": {f"{distance:g}": row for distance, row in gaussians.items()},
        "p_equals_q": {f"dimensions {d}, samples {n}": row for (d, n), row in alike.items()},
        "network_by_heart": {key: curve[-1] for key, curve in heart.items()},
        "curves": heart,
    }


# Between two Gaussians --------------------------------------------------------------------------------------------


def between_gaussians(distance: float) -> dict[str, float]:
    """Return the exact divergence, and a network's estimates from its training samples and from held-out samples."""
    network = discriminator(1)
    train, held_out = ((torch.randn(n, 1), torch.randn(n, 1) + distance) for n in (TRAIN, HELD_OUT))
    learn(network, OBJECTIVE, falling(3e-3, STEPS), *map(shuffled, train), STEPS)
    truth, said = gaussian_jsd(distance), reading(network, OBJECTIVE, *held_out)
    return {"exact": truth, "held_out": said, "error": said / truth - 1, "train": reading(network, OBJECTIVE, *train)}


# Between equal distributions --------------------------------------------------------------------------------------


def of_nothing(dims: int, samples: int) -> dict[str, float]:
    """Return the mean estimates when both sides are N(0, I), by the best linear discriminator of `samples` a side.

    Wilks' theorem says +-dims / (4 samples) on training and on held-out samples, if dims / samples is small.
    """
    said = [_best_linear(dims, samples) for _ in range(REPEATS)]
    train, held_out = zip(*said, strict=True)
    return {
        "train": statistics.mean(train),
        "held_out": statistics.mean(held_out),
        "train_error": statistics.stdev(train) / math.sqrt(REPEATS),
        "held_out_error": statistics.stdev(held_out) / math.sqrt(REPEATS),
        "wilks": dims / (4 * samples),
    }


def _best_linear(dims: int, samples: int) -> tuple[float, float]:
    """Return the estimates of logistic regression on its own samples and on fresh ones.

    It minimises the objective exactly.
    """
    real, fake = torch.randn(2, samples, dims).double()
    network = nn.Sequential(nn.Linear(dims, 1), nn.Flatten(0)).double()
    solver = torch.optim.LBFGS(network.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        value = OBJECTIVE.discriminator(network(real), network(fake)).mean()
        value.backward()
        return value

    solver.step(loss)  # type: ignore[arg-type]
    fresh = torch.randn(2, 20_000, dims).double()
    return reading(network, OBJECTIVE, real, fake), reading(network, OBJECTIVE, *fresh)


def by_heart(dims: int, samples: int) -> dict[str, list[float]]:
    """Return the estimates, by turns, of a network that is trained for long. Both sides are N(0, I)."""
    network = discriminator(dims, width=128)
    train, held_out = torch.randn(2, samples, dims), torch.randn(2, 20_000, dims)
    curve: dict[str, list[float]] = {"turns": [], "train": [], "held_out": []}
    real, fake = map(shuffled, train)
    for turn in learning(network, OBJECTIVE, falling(1e-3, 600), real, fake, 600):
        if turn % 20 == 0:
            curve["turns"].append(turn)
            curve["train"].append(reading(network, OBJECTIVE, *train))
            curve["held_out"].append(reading(network, OBJECTIVE, *held_out))
    return curve


# The picture ------------------------------------------------------------------------------------------------------


def _draw(
    file: Path,
    gaussians: dict[float, dict[str, float]],
    alike: dict[tuple[int, int], dict[str, float]],
    heart: dict[str, list[float]],
) -> None:
    figure, ((first, second, third),) = drawing.panels(3)
    grid = torch.linspace(0, 10, 101).tolist()
    first.plot(grid, [gaussian_jsd(distance) for distance in grid], color=drawing.TRUTH, label="exact")
    held_out = [row["held_out"] for row in gaussians.values()]
    first.plot(list(gaussians), held_out, "o", color=drawing.JUDGED, label="read on held-out samples")
    first.set(xlabel="d / s", ylabel="nats", title="N(0, s²) against N(d, s²)")
    _bars(second, alike)
    third.plot(heart["turns"], heart["train"], color=drawing.GENERATED, label="training samples")
    third.plot(heart["turns"], heart["held_out"], color=drawing.JUDGED, label="held-out samples")
    title = f"P = Q, a network: {HEART[0]} dims, {HEART[1]} samples"
    third.set(xlabel="discriminator turns", title=title, ylim=(-1, 1))
    third.axhline(0, color=drawing.TRUTH, linewidth=1)
    for axis in (first, third):
        axis.axhline(math.log(2), color="0.6", linestyle=":", label="log 2")
    for axis in (first, second, third):
        axis.legend(fontsize=8)
    drawing.save(figure, file)


def _bars(axis: Any, alike: dict[tuple[int, int], dict[str, float]]) -> None:
    places = range(len(alike))
    axis.bar(places, [row["train"] for row in alike.values()], color=drawing.GENERATED, label="training samples")
    axis.bar(places, [row["held_out"] for row in alike.values()], color=drawing.JUDGED, label="held-out samples")
    for sign in (1, -1):
        wilks = [sign * row["wilks"] for row in alike.values()]
        axis.plot(places, wilks, "_", color="black", markersize=16, label="± dims / 4n" if sign == 1 else None)
    axis.set_xticks(places, [f"{d}\n{n}" for d, n in alike])
    axis.set(xlabel="dimensions, samples a side", title="P = Q, a linear discriminator", ylim=(-0.3, 0.2))
