"""A pixel loss makes a network answer with the mean of all right answers; a discriminator makes it choose one of them.

The pictures of `data=shapes` have captions that name two things, but not their places. If places are drawn
independently, the picture is wrong. A picture made of halves of two right answers is wrong, too. Then the same network
learns from the same captions twice: by the squared error of its pixels, whose optimum is the mean E[x | caption], and
in a conditional GAN.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.core.assembly import make_data
from ganlab.core.averaging import MovingAverage
from ganlab.core.checkpoints import load_module
from ganlab.core.generative import GenerativeModule
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition, take, to_float, to_uint8
from ganlab.data.rows import some_rows
from ganlab.lecture.runs import summary, trained
from ganlab.lecture.strips import draw, steepness
from ganlab.lecture.unplaced import composed_answers, parse_caption
from ganlab.metrics.caption_accuracy import verdict
from ganlab.metrics.sightings import look
from ganlab.networks.architecture import Architecture
from ganlab.networks.conditional import ConditionalGenerator
from ganlab.networks.conditioning import ConditionEncoder
from ganlab.objectives import per_sample
from ganlab.sampling.drawing import latents
from ganlab.variants import ConditionalGAN

CAPTIONS, SHOWN = 500, 8  # the numbers of captions that are judged, and shown
SILENT = ("callbacks.quality=null", "callbacks.collapse=null", "callbacks.pictures=null")
SAME = (
    *("recipe=text2shapes", "data._target_=ganlab.lecture.unplaced.UnplacedShapes", *SILENT),
    *(
        "condition.dim=16",
        "latent_dim=64",
    ),  # fewer numbers for the caption than for the latent, which decides what the caption leaves open
)
LOSSES = {
    "pixel loss": ("variant._target_=ganlab.lecture.correlation.PixelLoss", "trainer.max_steps=3_000"),
    "adversarial": ("match_weight=0", "trainer.max_steps=2_000"),
}


class PixelLoss(GenerativeModule):
    """A conditional GAN's generator alone, trained on the squared error of its pictures, averaged over their values."""

    def __init__(
        self,
        spec: DataSpec,
        network: Architecture,
        condition: Callable[[], ConditionEncoder],
        generator: Side,
        average: MovingAverage,
        latent_dim: int,
    ) -> None:
        listener = condition()
        player = ConditionalGenerator(listener, network.generator(shape=spec.shape, code_dim=latent_dim + listener.dim))
        super().__init__(spec, {"generator": (player, generator)}, average, latent_dim)

    def take_turns(self, batch: Batch) -> None:
        """Take one step of the generator on its squared error."""
        self.backward_terms("generator", {"error": self._error(batch)})
        self.step("generator")

    def _error(self, batch: Batch) -> Tensor:
        return per_sample((self.generator(self.draw_latent(len(batch)), batch.condition) - batch.images).square())

    def report(self, batch: Batch) -> dict[str, Tensor]:
        """Return the squared error of pixels."""
        return {"error": self._error(batch).mean()}

    def synthesize(self, network: nn.Module, latent: Tensor, condition: Condition) -> Tensor:
        """Return pictures of `network` for the latents and conditions."""
        return network(latent, condition)


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    jobs = {name: [*SAME, *words, f"seed={seed}"] for name, words in LOSSES.items()}
    runs = trained(folder / "runs" / "correlation", jobs)
    models = {name: load_module(run.last(), ["ganlab.lecture"]) for name, run in runs.items()}
    captions, true = _some(models["adversarial"])
    rows = {"true": true, **composed_answers([parse_caption(caption) for caption in captions], seed)}
    again = {"true": rows["another right answer"]}
    for name, model in models.items():
        rows[name], again[name] = (_answers(model, captions, start) for start in (0, CAPTIONS))
    shown = {**rows, "adversarial, again": again["adversarial"]}
    draw({name: pictures[:SHOWN] for name, pictures in shown.items()}, folder / "correlation.png", 3)
    right = float((again["true"] - true).square().mean())
    return {
        "runs": {name: {key: summary(run)[key] for key in ("iterations", "seconds")} for name, run in runs.items()},
        "captions": captions[:SHOWN],
        "answers": {name: judged(pictures, true, captions) for name, pictures in rows.items()},
        "variety": {name: float((again[name] - rows[name]).square().mean()) / right for name in again},
        "truth_preferred": {n: preferred(models["adversarial"], true, x, captions) for n, x in rows.items()},
    }


def _some(model: GenerativeModule) -> tuple[list[str], Tensor]:
    """Return held-out captions and their pictures in [-1, 1]."""
    pictures = make_data(model.recipe).reference
    rows = some_rows(len(pictures), CAPTIONS, 0)
    captions = take(pictures.condition, torch.from_numpy(rows))
    assert isinstance(captions, list)
    return captions, to_float(pictures.get(rows))


def _answers(model: GenerativeModule, captions: list[str], start: int) -> Tensor:
    """Return the model's pictures (N, 3, side, side) in [-1, 1] for N captions, each with its own latent."""
    return model.sample(latents(model, range(start, start + len(captions))), captions)


def judged(images: Tensor, true: Tensor, captions: list[str]) -> dict[str, float]:
    """Return the oracle's scores, the edges' steepness and the distance from the true pictures.

    All pictures are (N, 3, side, side) in [-1, 1].
    """
    verdicts = [
        verdict(view, parse_caption(caption)) for view, caption in zip(look(to_uint8(images)), captions, strict=True)
    ]
    return {
        "all": sum(all(one.values()) for one in verdicts) / len(verdicts),
        **{name: sum(one[name] for one in verdicts) / len(verdicts) for name in verdicts[0]},
        "steepness": steepness(images) / steepness(true),
        "pixel_error": float((images - true).square().mean()),
    }


@torch.no_grad()
def preferred(game: GenerativeModule, true: Tensor, images: Tensor, captions: list[str]) -> float:
    """Return the share of captions whose true picture gets the higher score: 0.5 at chance level, 1 always."""
    assert isinstance(game, ConditionalGAN)
    margin = game.critic(true, captions) - game.critic(images, captions)
    return float((margin.sign() / 2 + 0.5).mean())
