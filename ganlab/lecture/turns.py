"""If the generator has too many turns between the discriminator's, the divergence no longer falls.

Goodfellow et al. 2014, algorithm 1, gives the discriminator k turns for each turn of the generator. So it stays near
its optimum, and its gradient is that of a divergence. With too many turns the generator moves to wherever the
discriminator last said real. The data are on a line, so that the true divergence can be counted.
"""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import torch

from ganlab.data.batch import Batch
from ganlab.data.toy import ToyData, mixture
from ganlab.lecture import drawing
from ganlab.lecture.line import true_divergence
from ganlab.lecture.play import adam, fully_connected, game, play
from ganlab.objectives import NonSaturating
from ganlab.variants import VanillaGAN

TURNS = ((1, 1), (5, 1), (1, 5), (1, 20))  # of the discriminator, of the generator
REPEATS = 3
ITERATIONS, EVERY, BATCH = 400, 10, 64

Curve = dict[str, list[float]]


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    curves = {turns: [played(*turns, seed + n) for n in range(REPEATS)] for turns in TURNS}
    _draw(folder / "turns.png", curves)
    return {
        "last_quarter": {_name(turns): _summary(several) for turns, several in curves.items()},
        "curves": {
            _name(turns): {f"seed {seed + n}": curve for n, curve in enumerate(several)}
            for turns, several in curves.items()
        },
    }


def _name(turns: tuple[int, int]) -> str:
    return f"discriminator {turns[0]}, generator {turns[1]}"


# The game ---------------------------------------------------------------------------------------------------------


def played(discriminator_turns: int, generator_turns: int, seed: int) -> Curve:
    """Return the true divergence and the discriminator's held-out estimate after each `EVERY` iterations."""
    torch.manual_seed(seed)
    data = ToyData(mixture([[-2.0], [2.0]], sigma=0.5), count=50_000, held_out_count=20_000, seed=seed)
    generator, discriminator = adam(2e-3, turns=generator_turns), adam(2e-3, turns=discriminator_turns)
    module = game(data, fully_connected(), NonSaturating(), generator, discriminator, latent_dim=4)
    curve: Curve = {"iterations": [], "true": [], "read": []}

    def look(module: VanillaGAN) -> None:
        curve["iterations"].append(module.iteration)
        curve["true"].append(true_divergence(module, data.mixture))
        curve["read"].append(float(module.held_out_report(Batch(torch.as_tensor(data.reference.images)))["divergence"]))

    play(module, data, ITERATIONS, BATCH, look, EVERY)
    return curve


def _summary(several: list[Curve]) -> dict[str, float | list[float]]:
    """Return, over the last quarter of the iterations, means over the seeds, and each seed's true divergence."""
    tail = {key: [curve[key][-len(curve[key]) // 4 :] for curve in several] for key in ("true", "read")}
    return {
        "true": statistics.mean(map(statistics.mean, tail["true"])),
        "true_by_seed": [statistics.mean(values) for values in tail["true"]],
        "true_swing": statistics.mean(max(values) - min(values) for values in tail["true"]),
        "read": statistics.mean(map(statistics.mean, tail["read"])),
    }


# The picture ------------------------------------------------------------------------------------------------------


def _draw(file: Path, curves: dict[tuple[int, int], list[Curve]]) -> None:
    figure, axes = drawing.panels(len(curves), width=3.4)
    for axis, (turns, several) in zip(axes[0], curves.items(), strict=True):
        for n, curve in enumerate(several):
            read, true = ("read by the discriminator", "true") if n == 0 else (None, None)
            axis.plot(curve["iterations"], curve["read"], color=drawing.JUDGED, linewidth=0.7, alpha=0.6, label=read)
            axis.plot(curve["iterations"], curve["true"], color=drawing.TRUTH, linewidth=1.4, label=true)
        axis.axhline(math.log(2), color="0.6", linestyle=":")
        axis.set(xlabel="iterations", title=f"{turns[0]} discriminator, {turns[1]} generator", ylim=(-0.6, 0.75))
    axes[0, 0].set_ylabel("Jensen-Shannon divergence (nats)")
    axes[0, 0].legend(fontsize=8, loc="lower right")
    drawing.save(figure, file)
