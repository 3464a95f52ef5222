"""Two stages draw better at four times the resolution than one stage does in the same time.

Zhang et al. 2017 on emoji with captions: the recipe `stackgan` (16, then 64 pixels) against `cgan_text2img` at 64
pixels. The trunk at 64 pixels, batch, rates and penalties are the same, and the numbers of iterations take the same
time. Everything is measured on the moving averages after the last iteration.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module
from ganlab.core.checkpoints import load_module
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import GanData
from ganlab.data.batch import to_float, to_uint8
from ganlab.data.rows import many_rows
from ganlab.evaluation.evaluator import Evaluator, real_side, target_of
from ganlab.evaluation.sources import generated
from ganlab.files.run_folder import RunFolder
from ganlab.lecture.runs import summary, trained
from ganlab.lecture.strips import draw, steepness
from ganlab.metrics.features import Small
from ganlab.metrics.fidelity import Precision, Recall
from ganlab.metrics.frechet import FrechetDistance
from ganlab.metrics.moments import frechet_distance_of_sets
from ganlab.metrics.r_precision import RPrecision
from ganlab.metrics.target import captions_of
from ganlab.networks.stack import FACTOR, shrink
from ganlab.variants import StackGAN

COUNT, AT_ONCE = 2_000, 250
WARM, TIMED = 8, 24
ONE_STAGE = 2_870  # iterations that take as long as the recipe stackgan, see `pace`
AS_STACKGAN = (
    *("condition=words", "perturbation=[]", "wordings=1", "near_misses=0"),
    *("generator_regularizer=[]", "flip=true"),
)
JOBS = {
    "two stages": ("recipe=stackgan",),
    "one stage": ("recipe=cgan_text2img", *AS_STACKGAN, "data.size=64", f"trainer.max_steps={ONE_STAGE}"),
}
SHOWN = (
    *("red apple", "grinning face", "red heart", "cat face", "evergreen tree", "house"),
    *("automobile", "soccer ball", "blue circle", "crescent moon", "green book", "man student"),
)
QUIET = ("callbacks.quality=null", "callbacks.collapse=null", "callbacks.pictures=null")


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    jobs = {name: [*words, f"seed={seed}", *QUIET] for name, words in JOBS.items()}
    runs = trained(folder / "runs" / "stages", jobs)
    stacked, single = (load_module(runs[name].last()) for name in JOBS)
    assert isinstance(stacked, StackGAN)
    data = make_data(single.recipe)
    draw(shown(stacked, single, data, seed), folder / "stages.png", enlarged=1)
    return {
        "stage I at its own size": {"fid_small": round(small_fid(stacked, data, seed), 2)},
        "two stages": cost(runs["two stages"], played(stacked, runs["two stages"]))
        | sizes(stacked)
        | measured(stacked, data, seed),
        "one stage": cost(runs["one stage"], [(ONE_STAGE, pace(*JOBS["one stage"]))])
        | sizes(single)
        | measured(single, data, seed),
    }


# Samples -------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def shown(stacked: StackGAN, single: GenerativeModule, data: GanData, seed: int) -> dict[str, Tensor]:
    """Return pictures of the same captions: Stage I's with square pixels, Stage II's of the same latents, and so on."""
    captions = list(SHOWN)
    latent = latents(stacked, seed)
    small = stacked.average.small(latent, captions)
    return {
        f"stage I ({small.shape[-1]})": small.repeat_interleave(FACTOR, 2).repeat_interleave(FACTOR, 3),
        "stage II (64)": stacked.sample(latent, captions),
        "one stage (64)": single.sample(latents(single, seed), captions),
        "data": torch.cat([true(data, caption) for caption in captions]),
    }


def true(data: GanData, caption: str) -> Tensor:
    """Return the picture that the caption names, (1, C, H, W) in [-1, 1], of a training or a held-out concept."""
    for pictures in (data.train, data.reference):
        known = captions_of(pictures, np.arange(len(pictures)))
        if caption in known:
            return to_float(pictures.get(np.array([known.index(caption)])))
    raise ValueError(f"no picture is called {caption!r}")


def latents(model: GenerativeModule, seed: int) -> Tensor:
    """Return one latent for each shown caption, drawn from the seed."""
    return model.draw_latent(len(SHOWN), torch.Generator().manual_seed(seed))


# Scores --------------------------------------------------------------------------------------------------------------


def measured(model: GenerativeModule, data: GanData, seed: int) -> dict[str, float]:
    """Measure against all training pictures, as the emoji recipes do: the held-out ones are too few."""
    target = target_of(data, "train", COUNT, seed)
    target = replace(target, make_real=cache(lambda: real_side(Small(), target)))
    matched = replace(target, count=len(data.train))
    evaluators = (
        Evaluator([FrechetDistance, Precision, Recall], target),
        Evaluator([RPrecision], matched),
    )
    results = {name: one.value for each in evaluators for name, one in each.measure(model).items()}
    drawn = torch.cat(list(generated(model, data.train, COUNT, seed)))
    results["steepness"] = steepness(to_float(drawn)) / steepness(reals(data))
    return {name: round(value, 4) for name, value in results.items()}


def reals(data: GanData) -> Tensor:
    """Return all training pictures, in [-1, 1]."""
    return to_float(data.train.get(np.arange(len(data.train))))


@torch.no_grad()
def small_fid(model: StackGAN, data: GanData, seed: int) -> float:
    """Return the FID of Stage I's pictures against the data's, reduced in size as for Stage I."""
    extractor, captions = Small(), captions_of(data.train, many_rows(len(data.train), COUNT, seed))
    latent = model.draw_latent(COUNT, torch.Generator().manual_seed(seed))
    parts = [slice(start, start + AT_ONCE) for start in range(0, COUNT, AT_ONCE)]
    small = torch.cat([model.average.small(latent[part], captions[part]) for part in parts])
    features = [extractor(to_uint8(images)) for images in (shrink(reals(data), small.shape[-1]), small)]
    return frechet_distance_of_sets(*features)


# Cost ----------------------------------------------------------------------------------------------------------------


def sizes(model: GenerativeModule) -> dict[str, int]:
    """Return the number of parameters of each side, with its caption encoder."""
    sides = {name: model.player(name) for name in ("generator", "discriminator")}
    return {f"{name}_parameters": sum(p.numel() for p in side.parameters()) for name, side in sides.items()}


def played(stacked: StackGAN, run: RunFolder) -> list[tuple[int, float]]:
    """Return the iterations of each stage, and the processor seconds of one iteration."""
    first = stacked.stage_one_iterations
    second = summary(run)["iterations"] - first
    words = JOBS["two stages"]
    return [(first, pace(*words)), (second, pace(*words, "variant.stage_one_iterations=1"))]


def cost(run: RunFolder, stages: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """Return the number of iterations in the run, and its processor seconds."""
    found = summary(run)
    return {
        **{name: found[name] for name in ("iterations", "images_seen", "seconds")},
        "processor_seconds_an_iteration": [round(pace, 4) for _, pace in stages],
        "processor_seconds": round(sum(length * pace for length, pace in stages)),
    }


class Clock(pl.Callback):
    """Records the processor's seconds at the end of each iteration. Other processes do not change them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        """Record the processor time after the iteration."""
        self.seconds.append(time.process_time())


def pace(*words: str) -> float:
    """Return the processor seconds of an iteration.

    It is the mean of 24 iterations, which include three with penalties, after 8 to warm up.
    """
    recipe = compose(*words)
    data = make_data(recipe)
    clock = Clock()
    trainer = pl.Trainer(
        max_steps=WARM + TIMED,
        max_epochs=-1,
        accelerator="cpu",
        devices=1,
        logger=False,
        callbacks=[clock],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(make_module(recipe, data.spec), datamodule=data)
    return (clock.seconds[-1] - clock.seconds[WARM - 1]) / TIMED
