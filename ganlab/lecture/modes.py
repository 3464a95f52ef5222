"""Every objective finds the modes of the ring when its discriminator is kept smooth; without a penalty modes are lost.

The ring of 8 and the grid of 25 Gaussians (Srivastava et al. 2017, Lin et al. 2018). Networks, rates, penalty and
number of iterations are the same for all; only the objective differs. 2,500 samples of the averaged generator are
drawn. A mode is found if at least one of them is within three standard deviations. A perfect generator has 98.9 % of
them there.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from torch import Tensor

from ganlab.core.checkpoints import load_module
from ganlab.files.run_folder import RunFolder
from ganlab.lecture import drawing
from ganlab.lecture.runs import measured, summary, trained
from ganlab.sampling.drawing import latents

ITERATIONS, SEEDS, SHOWN = 6_000, 3, 2_000
SAME = ("network.generator.depth=3", "network.discriminator.depth=3")  # the grid's own recipe has deeper networks
LOOKS = ("callbacks.collapse.every=10_000", "callbacks.quality.every=64_000")  # points
DATA = {"ring": 8, "grid": 25}
POINTS = ("regularizer=[gradient_penalty]", "discriminator.regularizers.gradient_penalty.weight=0.1")  # as in section 5
F_DIVERGENCES = ("kl", "reverse_kl", "pearson", "neyman", "squared_hellinger", "jeffrey", "total_variation")
"""The rows without `gan` and `js`, whose gradients are bit-identical to those of minimax."""
OBJECTIVES: dict[str, tuple[str, ...]] = {
    "non-saturating": (),
    "non-saturating, no penalty": ("regularizer=[]",),
    "minimax": ("objective=minimax",),
    "minimax, no penalty": ("objective=minimax", "regularizer=[]"),
    "least squares": ("objective=least_squares",),
    "hinge": ("objective=hinge",),
    "relativistic, R1 and R2": ("objective=relativistic", "regularizer=[r1,r2]"),
    "Wasserstein, gradient penalty": ("objective=wasserstein", *POINTS),
    "Wasserstein, clipped at 0.1": (
        *("objective=wasserstein", "regularizer=[]", "constraint=weight_clipping"),
        "discriminator.constraint.limit=0.1",
    ),
    **{f"f-GAN {name}": ("objective=fgan", f"objective.divergence={name}") for name in F_DIVERGENCES},
}


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    jobs = {
        f"{data} {name} {number}": _words(data, name, number)
        for data in DATA
        for name in OBJECTIVES
        for number in range(seed, seed + SEEDS)
    }
    runs = trained(folder / "runs" / "modes", jobs)
    _draw(folder / "modes.png", {name: runs[f"ring {name} {seed}"] for name in OBJECTIVES})
    return {
        data: {name: _row([runs[f"{data} {name} {seed + i}"] for i in range(SEEDS)]) for name in OBJECTIVES}
        for data in DATA
    }


def _words(data: str, objective: str, seed: int) -> list[str]:
    words = [f"recipe={data}", f"seed={seed}", f"trainer.max_steps={ITERATIONS}", *SAME, *LOOKS]
    return [*words, *OBJECTIVES[objective]]


def _row(runs: list[RunFolder]) -> dict[str, Any]:
    """Return modes, high-quality shares and alarms of each seed, and the mean of the KL divergence to uniform modes."""
    found = [measured(run) for run in runs]
    return {
        "modes": [int(one["quality/modes_captured"]) for one in found],
        "high_quality": [round(one["quality/high_quality"], 4) for one in found],
        "mode_kl": statistics.mean(one["quality/mode_kl"] for one in found),
        "alarms": [len(summary(run)["collapse"]["alarms"]) for run in runs],
    }


def _draw(file: Path, runs: dict[str, RunFolder]) -> None:
    columns = 6
    rows = -(-len(runs) // columns)
    figure, axes = drawing.panels(columns, rows, width=1.9, height=2.0)
    for axis in axes.flat[len(runs) :]:
        axis.set_axis_off()
    for axis, (name, run) in zip(axes.flat, runs.items(), strict=False):
        points = _samples(run)
        axis.scatter(points[:, 0], points[:, 1], s=1, c=drawing.GENERATED, alpha=0.4, linewidths=0)
        axis.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), xticks=[], yticks=[], aspect="equal")
        axis.set_title(name, fontsize=7)
    drawing.save(figure, file)


def _samples(run: RunFolder) -> Tensor:
    module = load_module(run.last())
    return module.sample(latents(module, range(SHOWN))).cpu()
