"""During the game the model's density moves towards high D(x), until D(x) is about 1/2 on the data.

The figure 1 of Goodfellow et al. 2014, measured: the data's density, the model's density, D(x), and the optimal
D*(x) = p(x) / (p(x) + q(x)), on one axis during the game.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ganlab.data.toy import Mixture, ToyData, mixture
from ganlab.files.durable import atomic_write
from ganlab.lecture import drawing
from ganlab.lecture.line import EDGES, WIDTH, counts, generated, masses, true_divergence
from ganlab.lecture.play import adam, fully_connected, game, play
from ganlab.objectives import NonSaturating
from ganlab.schedules import ConstantThenLinear
from ganlab.variants import VanillaGAN

ITERATIONS, EVERY, BATCH = 3000, 50, 128
STRIP = (0, 100, 500, ITERATIONS)  # iterations shown in the still picture
MILLISECONDS = 120  # for each frame
COLORS = 24  # of the animation
RARE = 0.01  # a density this small, 20 samples in a bin, is mostly sampling noise
X = (EDGES[1:] + EDGES[:-1]) / 2


@dataclass(frozen=True)
class Moment:
    """The state at one iteration: the model's density and D, each (120,) over `X`, and the divergence in nats."""

    iteration: int
    density: Tensor
    judged: Tensor
    divergence: float


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    torch.manual_seed(seed)
    data = ToyData(mixture([[-2.0], [2.0]], sigma=0.5), count=50_000, held_out_count=1000, seed=seed)
    moments = played(data)
    animate(folder / "animation.gif", moments, data.mixture)
    _strip(folder / "animation.png", [moment for moment in moments if moment.iteration in STRIP], data.mixture)
    return {
        "true_jsd": {str(moment.iteration): moment.divergence for moment in moments if moment.iteration in STRIP},
        "distance_of_D_from_half": {
            str(m.iteration): _unease(m, data.mixture) for m in moments if m.iteration in STRIP
        },
        "curves": {"iterations": [m.iteration for m in moments], "true_jsd": [m.divergence for m in moments]},
    }


def played(data: ToyData) -> list[Moment]:
    """Play the game and return the measurements before it begins and every `EVERY` iterations."""
    calming = partial(ConstantThenLinear, end=ITERATIONS)
    sides = adam(5e-4, scheduler=calming), adam(1e-3, scheduler=calming)
    module = game(data, fully_connected(), NonSaturating(), *sides, latent_dim=4)
    moments: list[Moment] = []

    def look(module: VanillaGAN) -> None:
        model = counts(generated(module))
        judged = torch.sigmoid(module.discriminator(X[:, None].float()))
        density = model[1:-1] / model.sum() / WIDTH
        moments.append(Moment(module.iteration, density, judged, true_divergence(module, data.mixture)))

    play(module, data, ITERATIONS, BATCH, look, EVERY)
    return moments


def _unease(moment: Moment, density: Mixture) -> float:
    """Return E |D(x) - 1/2| over the data. It is 0 if the discriminator is undecided everywhere."""
    return float(((moment.judged - 0.5).abs() * masses(density)[1:-1]).sum())


# The pictures -----------------------------------------------------------------------------------------------------


def _show(axis: Any, moment: Moment, density: Mixture) -> None:
    data = masses(density)[1:-1] / WIDTH
    axis.clear()
    axis.fill_between(X, moment.density, step="mid", color=drawing.GENERATED, alpha=0.3, linewidth=0, label="model q")
    axis.plot(X, data, color=drawing.REAL, linewidth=2, label="data p")
    axis.plot(X, _best(data, moment.density), color="0.6", linewidth=1, label="p / (p + q)")
    axis.plot(X, moment.judged, color=drawing.JUDGED, linewidth=2, label="D(x)")
    axis.set(xlim=(-5, 5), ylim=(0, 1.05), xlabel="x")
    axis.set_title(f"iteration {moment.iteration}: JSD {moment.divergence:.3f}", fontsize=10)


def _best(p: Tensor, q: Tensor) -> Tensor:
    """Return D*(x) at places with enough samples to estimate it."""
    return torch.where(p + q > RARE, p / (p + q).clamp(min=RARE), torch.nan)


def animate(file: Path, moments: Sequence[Moment], density: Mixture) -> None:
    """Write a GIF of all moments. It stays on the last one for a while."""
    figure, ((axis,),) = drawing.panels(width=5.2, height=3.4)
    frames = []
    for moment in moments:
        _show(axis, moment, density)
        axis.legend(loc="upper right", fontsize=8)
        frames.append(drawing.picture(figure))
    palette = frames[0].quantize(COLORS, dither=Image.Dither.NONE)
    images = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [MILLISECONDS] * (len(images) - 1) + [20 * MILLISECONDS]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=True)
    atomic_write(file, buffer.getvalue())


def _strip(file: Path, moments: Sequence[Moment], density: Mixture) -> None:
    figure, axes = drawing.panels(len(moments), width=3.2, height=2.8)
    for axis, moment in zip(axes[0], moments, strict=True):
        _show(axis, moment, density)
    axes[0, 0].legend(fontsize=8)
    drawing.save(figure, file)
