"""One stabilizer at a time keeps a game without a penalty from losing modes, or does not: the ring, and few pictures.

Points: the non-saturating game on the ring of 8, no penalty, and one setting added: one-sided label smoothing and
minibatch features (Salimans et al. 2016, Karras et al. 2018), packs (Lin et al. 2018), two time scales (Heusel et al.
2017), instance noise, spectral normalization, and penalties. Pictures: 1,346 emoji, with and without augmentation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganlab.lecture import drawing
from ganlab.lecture.runs import measured, trained
from ganlab.run import RunFolder

ITERATIONS, SEEDS = 4_000, 3
PICTURES = 2_000  # iterations
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
AUGMENTATION: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "DiffAugment": ("perturbation=[diffaugment]",),
    "adaptive": ("perturbation=[adaptive]", "perturbations.adaptive.speed=50_000"),
}


def run(folder: Path, seed: int) -> dict[str, Any]:
    ring = {f"ring {name} {seed + i}": _on_ring(name, seed + i) for name in POINTS for i in range(SEEDS)}
    emoji = {f"emoji {name}": _on_emoji(name, seed) for name in AUGMENTATION}
    runs = trained(folder / "runs" / "stabilizers", ring | emoji)
    points = {name: _modes([runs[f"ring {name} {seed + i}"] for i in range(SEEDS)]) for name in POINTS}
    _draw(folder / "stabilizers.png", points)
    return {"ring": points, "emoji": {name: _pictures(runs[f"emoji {name}"]) for name in AUGMENTATION}}


def _on_ring(name: str, seed: int) -> list[str]:
    return ["recipe=ring", "regularizer=[]", f"seed={seed}", f"trainer.max_steps={ITERATIONS}", *POINTS[name]]


def _on_emoji(name: str, seed: int) -> list[str]:
    words = ["recipe=vanilla", "network=light", "batch_size=32", "latent_dim=64", "penalty_every=8"]
    return [*words, f"seed={seed}", f"trainer.max_steps={PICTURES}", *AUGMENTATION[name]]


def _modes(runs: list[RunFolder]) -> dict[str, Any]:
    found = [measured(run) for run in runs]
    return {
        "modes": [int(one["quality/modes_captured"]) for one in found],
        "high_quality": [round(one["quality/high_quality"], 4) for one in found],
    }


def _pictures(run: RunFolder) -> dict[str, float]:
    found = measured(run)
    return {name.partition("/")[2]: found[name] for name in ("quality/fid_small", "held_out/divergence")}


def _draw(file: Path, points: dict[str, dict[str, Any]]) -> None:
    """Modes and the share of good samples of every seed, a line a stabilizer."""
    figure, axes = drawing.panels(2, width=4.6, height=3.8)
    for axis, key, best in zip(axes[0], ("modes", "high_quality"), (8, 0.989), strict=True):
        for row, one in enumerate(points.values()):
            axis.scatter(one[key], [row] * len(one[key]), c=drawing.GENERATED, s=24, alpha=0.7)
        axis.axvline(best, color=drawing.TRUTH, linestyle="--", linewidth=1)
        axis.set_xlabel({"modes": "modes found, of 8", "high_quality": "share of high-quality samples"}[key])
        axis.set_yticks(range(len(points)), list(points) if key == "modes" else [""] * len(points))
        axis.invert_yaxis()
    drawing.save(figure, file)
