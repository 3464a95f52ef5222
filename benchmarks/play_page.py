"""Measure what the page "Play the game" (docs/lecture/play.md) invites its readers to try.

    python benchmarks/play_page.py [game=NAME] [seeds=3] [iterations=600] [on_ring=2000] [out=FILE.json]

The games have the page's data, networks, rates, batches and sliders, and are played by PyTorch: tests/docs/test_play.py
shows that the page's first steps are PyTorch's. `on_ring` is the number of iterations on the ring. Each number has
its mean, least and greatest over the seeds.

On the line: the Jensen-Shannon divergence (nats) of data and model, its mean and its swing (highest minus lowest) over
the last quarter of the iterations, and the mean norm of the generator's gradient there. On the ring: the modes that
have at least 1 % of 2,000 samples within three standard deviations, their mean over the last half, and how often one of
them fell below that from one look, of every 25 iterations, to the next.
"""

from __future__ import annotations

import dataclasses
import statistics
from itertools import pairwise
from typing import Any

import torch
from contest import settings, tell
from torch import Tensor

from ganlab.data.toy import ToyData, mixture, ring
from ganlab.lecture.line import true_divergence
from ganlab.lecture.play import adam, fully_connected, game, play
from ganlab.objectives import Minimax, NonSaturating
from ganlab.perturbations.noise import InstanceNoise
from ganlab.runs.training import quiet_lightning
from ganlab.variants import VanillaGAN

FAST = 10**-1.5  # the greatest rate on the page's slider
GAMES: dict[str, dict[str, Any]] = {
    "line": {},
    "ten turns of the generator": {"turns": 10},
    "minimax": {"objective": Minimax()},
    "minimax, fast discriminator": {"objective": Minimax(), "rate": FAST},
    "minimax, fast discriminator, noise 0.5": {"objective": Minimax(), "rate": FAST, "noise": 0.5},
    "ring": {"ring": True},
}
EVERY, BATCH, LATENT, SEEN = 25, 128, 4, 2_000

Look = dict[str, Any]


def main() -> None:
    said = {"game": "", "seeds": 3, "iterations": 600, "on_ring": 2_000, "out": ""} | settings()
    torch.set_num_threads(1)
    quiet_lightning()
    found = {}
    for name in [said["game"]] if said["game"] else GAMES:
        iterations = said["on_ring" if "ring" in GAMES[name] else "iterations"]
        several = [summary(played(seed, iterations, **GAMES[name])) for seed in range(said["seeds"])]
        found[name] = {key: spread([one[key] for one in several]) for key in several[0]}
        print(name, found[name], flush=True)
    tell(found, said["out"], **{key: said[key] for key in ("seeds", "iterations", "on_ring")})


def played(
    seed: int,
    iterations: int,
    objective: Any = None,
    turns: int = 1,
    rate: float = 10**-2.7,
    noise: float = 0.0,
    ring: bool = False,
) -> list[Look]:
    """Return what is seen at each look at one game of the page."""
    torch.manual_seed(seed)
    density = RING if ring else mixture([[-2.0], [2.0]], sigma=0.5)
    data = ToyData(density, count=50_000, held_out_count=1_000, seed=seed)
    network = fully_connected(width=32)
    if noise:
        network = dataclasses.replace(network, perturbations={"noise": InstanceNoise(noise)})
    module = game(data, network, objective or NonSaturating(), adam(1e-3, turns=turns), adam(rate), LATENT)
    looks: list[Look] = []
    play(module, data, iterations, BATCH, lambda module: looks.append(seen(module, density)), EVERY)
    return looks


RING = ring(sigma=0.05)


def seen(module: VanillaGAN, density: Any) -> Look:
    if density is RING:
        points = module.sample(module.draw_latent(SEEN))
        return {"found": torch.bincount(nearest(points), minlength=9)[:8] >= SEEN // 100}
    return {"divergence": true_divergence(module, density), "gradient": gradient(module)}


def nearest(points: Tensor) -> Tensor:
    """Return the number of the mode within three standard deviations of each point; 8 if there is none."""
    distance, mode = torch.cdist(points, RING.centers).min(1)
    return torch.where(distance < 3 * RING.sigma, mode, 8)


def gradient(module: VanillaGAN) -> float:
    """Return the norm of the gradient of the generator's loss at 2,000 latents."""
    with torch.enable_grad():
        logits = module.discriminator(module.generator(module.draw_latent(SEEN)))
        loss = module.objective.generator(logits).mean()
        gradients = torch.autograd.grad(loss, list(module.generator.parameters()))
    return float(torch.cat([one.flatten() for one in gradients]).norm())


def summary(looks: list[Look]) -> dict[str, float]:
    if "found" in looks[0]:
        last = [one["found"] for one in looks[-len(looks) // 2 :]]
        lost = sum(int((before & ~after).sum()) for before, after in pairwise(last))
        return {"modes": statistics.mean(int(one.sum()) for one in last), "lost": lost}
    last = looks[-len(looks) // 4 :]
    divergences = [one["divergence"] for one in last]
    return {
        "divergence": statistics.mean(divergences),
        "swing": max(divergences) - min(divergences),
        "gradient": statistics.mean(one["gradient"] for one in last),
    }


def spread(values: list[float]) -> list[float]:
    return [float(f"{value:.3g}") for value in (statistics.mean(values), min(values), max(values))]


if __name__ == "__main__":
    main()
