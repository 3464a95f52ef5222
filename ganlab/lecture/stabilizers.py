"""Some stabilizers make a game without a penalty cover the ring evenly, others do not.

The non-saturating game on the ring of 8, without penalty, with one setting added each time: one-sided label smoothing
and minibatch features (Salimans et al. 2016, Karras et al. 2018), packs (Lin et al. 2018), two time scales (Heusel et
al. 2017), instance noise, spectral normalization, and penalties.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganlab.files.run_folder import RunFolder
from ganlab.lecture import drawing
from ganlab.lecture.runs import measured, summary, trained

ITERATIONS, SEEDS = 4_000, 3
QUALITY = "share of high-quality samples"
POINTS: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "label smoothing 0.1": ("objective.smoothing=0.1",),
    "minibatch deviation of 4": ("minibatch_deviation=4",),
    "packs of 2": ("pack=2",),
    "packs of 4": ("pack=4",),
    "two time scales, 4 to 1": ("discriminator.optimizer.lr=2e-3", "generator.optimizer.lr=5e-4"),
    "instance noise": ("perturbation=[instance_noise]", "perturbations.instance_noise.sigma=0.3"),
    "spectral normalization": ("constraint=spectral_norm",),
    "DRAGAN": ("regularizer=[dragan]", "discriminator.regularizers.dragan.weight=0.1"),
    "LeCam": ("regularizer=[lecam]",),
    "R1": ("regularizer=[r1]",),
}


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    jobs = {f"ring {name} {seed + i}": _on_ring(name, seed + i) for name in POINTS for i in range(SEEDS)}
    runs = trained(folder / "runs" / "stabilizers", jobs)
    points = {name: _row([runs[f"ring {name} {seed + i}"] for i in range(SEEDS)]) for name in POINTS}
    _draw(folder / "stabilizers.png", points)
    return points


def _on_ring(name: str, seed: int) -> list[str]:
    return ["recipe=ring", "regularizer=[]", f"seed={seed}", f"trainer.max_steps={ITERATIONS}", *POINTS[name]]


def _row(runs: list[RunFolder]) -> dict[str, Any]:
    """Return each seed's numbers."""
    found = [measured(run) for run in runs]
    return {
        "modes": [int(one["quality/modes_captured"]) for one in found],
        "high_quality": [round(one["quality/high_quality"], 4) for one in found],
        "mode_kl": [round(one["quality/mode_kl"], 5) for one in found],
        "seconds": [summary(run)["seconds"] for run in runs],
    }


def _draw(file: Path, points: dict[str, dict[str, Any]]) -> None:
    """Draw evenness and the share of good samples of each seed by stabilizer. Dashed: a perfect generator."""
    figure, axes = drawing.panels(2, width=4.6, height=3.8)
    wanted = {"mode_kl": ("KL of the modes' shares to equal ones", 7 / (2 * 2_500)), "high_quality": (QUALITY, 0.989)}
    for axis, (key, (label, perfect)) in zip(axes[0], wanted.items(), strict=True):
        for row, one in enumerate(points.values()):
            axis.scatter(one[key], [row] * len(one[key]), c=drawing.GENERATED, s=24, alpha=0.7)
        axis.axvline(perfect, color=drawing.TRUTH, linestyle="--", linewidth=1)
        axis.set_xlabel(label)
        axis.set_yticks(range(len(points)), list(points) if key == "mode_kl" else [""] * len(points))
        axis.invert_yaxis()
    axes[0, 0].set_xscale("log")
    drawing.save(figure, file)
