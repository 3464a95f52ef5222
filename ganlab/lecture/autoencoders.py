"""The same decoder draws blurred pictures under a pixel loss and sharp ones under a discriminator.

An autoencoder, a VAE (at the variational bound, and with a larger weight of its KL divergence), a VAE-GAN and a GAN are
compared. They have the same decoder, trunk, code, pictures (`data=shapes`) and batches. Their numbers of iterations
take about the same time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlab.core.assembly import make_data
from ganlab.core.checkpoints import load_module
from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import to_float, to_uint8
from ganlab.data.rows import some_rows
from ganlab.files.run_folder import RunFolder
from ganlab.lecture.runs import summary, trained
from ganlab.lecture.strips import draw, steepness
from ganlab.metrics.features import Small
from ganlab.metrics.moments import frechet_distance_of_sets
from ganlab.metrics.sightings import View, look
from ganlab.networks.encoder import EncoderDecoder

SHOWN, COUNT, AT_ONCE = 12, 2_000, 250
PIXELS, BOTH, GAME = 3_400, 950, 1_600  # iterations that take about the same time
FALLING = "{_target_: ganlab.schedules.ConstantThenLinear, _partial_: true, hold: 0.6, end: ${trainer.max_steps}}"
LEARNING = ("optimizer.lr=1e-3", "optimizer.betas=[0.0,0.99]", f"scheduler={FALLING}")  # as in the recipe vaegan
MODELS = {
    "autoencoder": ["recipe=autoencoder", f"trainer.max_steps={PIXELS}"],
    "VAE": ["recipe=vae", f"trainer.max_steps={PIXELS}"],
    "VAE with KL x 16": ["recipe=vae", "variant.beta=16", f"trainer.max_steps={PIXELS}"],
    "VAE-GAN": ["recipe=vaegan", f"trainer.max_steps={BOTH}"],
    "GAN": [
        *("recipe=vanilla", "batch_size=32", "latent_dim=64", "penalty_every=8", f"trainer.max_steps={GAME}"),
        *(f"{side}.{setting}" for side in ("generator", "discriminator") for setting in LEARNING),
    ],
}


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    runs = trained(folder / "runs" / "autoencoders", {name: _words(name, seed) for name in MODELS})
    models = {name: load_module(run.last()) for name, run in runs.items()}
    real = _real(models["VAE"])
    rows = {"real": real, **_again(models, real), **{f"{name}: drawn": _drawn(model) for name, model in models.items()}}
    draw({name: pictures[:SHOWN] for name, pictures in rows.items()}, folder / "autoencoders.png")
    numbers = {name: judged(pictures, real) for name, pictures in rows.items()}
    for name, pictures in rows.items():
        if name.endswith("again"):
            numbers[name]["pixel_error"] = float((pictures - real).square().mean())
    return {"runs": {name: _cost(run) for name, run in runs.items()}} | {
        name: {key: round(value, 4) for key, value in found.items()} for name, found in numbers.items()
    }


def _words(name: str, seed: int) -> list[str]:
    silent = ["callbacks.quality=null", "callbacks.collapse=null", "callbacks.pictures=null"]
    return [*MODELS[name], "data=shapes", f"seed={seed}", *silent]


def _cost(run: RunFolder) -> dict[str, float]:
    return {name: summary(run)[name] for name in ("iterations", "images_seen", "seconds")}


# Pictures ------------------------------------------------------------------------------------------------------------


def _real(model: GenerativeModule) -> Tensor:
    """Return held-out pictures in [-1, 1], (COUNT, 3, side, side)."""
    data = make_data(model.recipe)
    return to_float(data.reference.get(some_rows(len(data.reference), COUNT, 0)))


@torch.no_grad()
def _again(models: dict[str, GenerativeModule], real: Tensor) -> dict[str, Tensor]:
    """Return the same pictures, encoded and decoded by each model with an encoder."""
    coders = {name: model.average for name, model in models.items() if isinstance(model.average, EncoderDecoder)}
    return {f"{name}: again": torch.cat([coder(x) for x in real.split(AT_ONCE)]) for name, coder in coders.items()}


def _drawn(model: GenerativeModule) -> Tensor:
    """Return the decoder's pictures of codes from N(0, 1). The codes are the same for all models."""
    latent = torch.randn(COUNT, model.latent_dim, generator=torch.Generator().manual_seed(0))
    return torch.cat([model.sample(codes) for codes in latent.split(AT_ONCE)])


# Scores --------------------------------------------------------------------------------------------------------------


def judged(images: Tensor, real: Tensor) -> dict[str, float]:
    """Return the edges' steepness relative to the real ones', the Fréchet distance, and the share of clear pictures."""
    extractor, levels = Small(), to_uint8(images)
    return {
        "steepness": steepness(images) / steepness(real),
        "fid_small": frechet_distance_of_sets(extractor(to_uint8(real)), extractor(levels)),
        "clear": sum(map(is_clear, look(levels))) / len(levels),
    }


def is_clear(view: View) -> bool:
    """Return whether there are one or two things of a recognizable shape, and no litter."""
    return len(view.things) in (1, 2) and not view.litter and all(thing.shape != "unclear" for thing in view.things)
