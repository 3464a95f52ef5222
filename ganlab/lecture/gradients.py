"""If the discriminator is sure, the minimax generator's gradient vanishes; the non-saturating one's does not.

Goodfellow et al. 2014, section 3, at a single logit; Arjovsky and Bottou 2017, section 2.2 and figure 2, in a game: the
generator is stopped, and a discriminator learns from scratch to tell its pictures from real ones. Meanwhile the
generator's gradient is measured under both objectives. The game is chaotic: another seed, or rounding on another
machine, changes the numbers after many turns. So one seed is weak evidence about a generator that has played.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.data.base import GanData
from ganlab.data.batch import to_float
from ganlab.data.shapes import ShapesData
from ganlab.lecture import drawing
from ganlab.lecture.play import adam, falling, game, learning, play, shuffled
from ganlab.networks import dcgan, resnet
from ganlab.networks.architecture import Architecture
from ganlab.networks.blocks import NoNorm
from ganlab.networks.logits import RealismLogit
from ganlab.objectives import Minimax, NonSaturating, Objective
from ganlab.variants import VanillaGAN

OBJECTIVES: dict[str, Objective] = {"minimax": Minimax(), "nonsaturating": NonSaturating()}
COLORS = {"minimax": "tab:orange", "nonsaturating": "tab:blue"}
PLAYED = (0, 100)  # iterations of the game after which the generator is stopped
TURNS, EVERY = 1000, 25
SIZE, LATENT, BATCH, PICTURES = 32, 32, 32, 4000


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    logits = torch.linspace(-12, 12, 241)
    slopes = {name: slope(objective, logits) for name, objective in OBJECTIVES.items()}
    data = ShapesData(size=SIZE, count=PICTURES, held_out_count=256, seed=seed)
    curves = {played: fading(stopped(data, played, seed), data, seed) for played in PLAYED}
    _draw(folder / "gradients.png", logits, slopes, curves)
    return {
        "slope_at_logit_-10": {name: float(slope(o, torch.tensor([-10.0]))) for name, o in OBJECTIVES.items()},
        "generator_stopped_after": {str(played): _summary(curve) for played, curve in curves.items()},
        "curves": {str(played): curve for played, curve in curves.items()},
    }


def slope(objective: Objective, logits: Tensor) -> Tensor:
    """Return |d loss_G / d logit|, (N,), at logits (N,), by autograd."""
    logits = logits.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(objective.generator(logits).sum(), logits)
    return gradient.abs()


# A fixed generator, a discriminator that becomes sure -------------------------------------------------------------


def _networks() -> Architecture:
    """Return the networks of `network=lighter`, with fewer channels."""
    trunk = partial(dcgan.Trunk, width=16, normalization=NoNorm())
    return Architecture(partial(resnet.Generator, width=8), trunk)


def stopped(data: GanData, iterations: int, seed: int) -> nn.Module:
    """Return a generator that has played the non-saturating game for `iterations` iterations."""
    torch.manual_seed(seed)
    module = game(data, _networks(), NonSaturating(), adam(1e-3), adam(1e-3), LATENT)
    if iterations:
        play(module, data, iterations, BATCH, look=_nothing, every=iterations)
    return module.generator


def _nothing(module: VanillaGAN) -> None:
    """Do nothing: this game is not measured."""


def fading(generator: nn.Module, data: GanData, seed: int) -> dict[str, list[float]]:
    """Return the gradient's norm under both objectives, and the median and highest logit of 256 fakes, by turns."""
    torch.manual_seed(seed + 1)
    trunk = _networks().trunk(data.spec.shape)
    judge = nn.Sequential(trunk, RealismLogit(trunk.feature_shape))
    latent = torch.randn(256, LATENT)
    curve: dict[str, list[float]] = {
        "turns": [],
        "median_logit": [],
        "highest_logit": [],
        **{name: [] for name in OBJECTIVES},
    }
    with torch.no_grad():
        drawn = torch.cat([generator(torch.randn(PICTURES // 10, LATENT)) for _ in range(10)])
    real, fake = shuffled(to_float(torch.tensor(data.train.images))), shuffled(drawn)
    for turn in learning(judge, NonSaturating(), falling(5e-4, TURNS), real, fake, TURNS, BATCH):
        if turn == 1 or turn % EVERY == 0:
            _note(curve, turn, generator, judge, latent)
    return curve


def _note(curve: dict[str, list[float]], turn: int, generator: nn.Module, judge: nn.Module, latent: Tensor) -> None:
    logits = judge(generator(latent))
    curve["turns"].append(turn)
    curve["median_logit"].append(float(logits.detach().median()))
    curve["highest_logit"].append(float(logits.detach().max()))
    for name, objective in OBJECTIVES.items():
        loss = objective.generator(logits).mean()
        gradients = torch.autograd.grad(loss, list(generator.parameters()), retain_graph=True)
        curve[name].append(math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients)))


def _summary(curve: dict[str, list[float]]) -> dict[str, float]:
    """Return the first and last norms, and by how many powers of ten each changed."""
    found = {key: curve[key][-1] for key in ("median_logit", "highest_logit")}
    for name in OBJECTIVES:
        first, last = curve[name][0], curve[name][-1]
        found |= {f"{name}_first": first, f"{name}_last": last, f"{name}_decades": math.log10(last / first)}
    return found


def _draw(file: Path, logits: Tensor, slopes: dict[str, Tensor], curves: dict[int, dict[str, list[float]]]) -> None:
    figure, axes = drawing.panels(1 + len(curves), width=3.6)
    for name, values in slopes.items():
        axes[0, 0].semilogy(logits, values, color=COLORS[name], label=name)
    axes[0, 0].set(xlabel="logit of a generated sample", title="|d loss / d logit|\nof the generator")
    axes[0, 0].axvline(-10, color="0.6", linewidth=1, linestyle=":")
    for axis, (played, curve) in zip(axes[0, 1:], curves.items(), strict=True):
        for name in OBJECTIVES:
            axis.semilogy(curve["turns"], curve[name], color=COLORS[name], label=name)
        axis.set(xlabel="discriminator turns", title=f"gradient of the generator\nthat played {played} iterations")
        axis.sharey(axes[0, 1])
    axes[0, 0].legend()
    drawing.save(figure, file)
