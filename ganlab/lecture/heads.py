"""A discriminator that ignores the caption gives realistic pictures of anything; a conditional one judges the match.

All heads have the same network, pictures (one coloured shape each), captions, rates and number of iterations, and three
seeds. The data's own oracle measures whether a picture fits its caption. Variety is the mean distance, in the small
network's features, between pictures of one caption, as a share of that between real pictures of one caption.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from ganlab.core.assembly import make_data
from ganlab.core.checkpoints import load_module
from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import take
from ganlab.data.rows import many_rows
from ganlab.evaluation.sources import generated
from ganlab.files.durable import atomic_write
from ganlab.files.run_folder import RunFolder
from ganlab.lecture.runs import measured, trained
from ganlab.loggers.sheet import grid, png
from ganlab.metrics.conditional import variety_per_condition
from ganlab.metrics.extractors import extractor_named
from ganlab.sampling.drawing import draw, latents

ITERATIONS, SEEDS, COUNT, ACROSS = 1_000, 3, 2_000, 8
HEADS: dict[str, tuple[str, ...]] = {
    "blind": ("head=blind",),
    "joint": ("head=joint",),
    "projection": ("head=projection",),
    "separate": ("head=separate", "match_weight=0.0"),
    "separate, match 1": ("head=separate", "match_weight=1.0"),
}


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    jobs = {f"{name} {seed + i}": _words(name, seed + i) for i in range(SEEDS) for name in HEADS}
    runs = trained(folder / "runs" / "heads", jobs)
    _draw(folder / "heads.png", {name: runs[f"{name} {seed}"] for name in HEADS})
    return {name: _row([runs[f"{name} {seed + i}"] for i in range(SEEDS)]) for name in HEADS}


def _words(head: str, seed: int) -> list[str]:
    words = ["recipe=text2shapes", "data.pairs=0", f"seed={seed}", f"trainer.max_steps={ITERATIONS}"]
    return [*words, "callbacks.quality.extractor=small", *HEADS[head]]


def _row(runs: list[RunFolder]) -> dict[str, list[float]]:
    """Return each seed's numbers."""
    found = [measured(run) for run in runs]
    return {
        "caption_accuracy": [round(one["quality/caption_accuracy"], 4) for one in found],
        "caption_accuracy_unseen": [round(one["quality/caption_accuracy_unseen"], 4) for one in found],
        "variety": [round(variety(run), 4) for run in runs],
        "fid_small": [round(one["quality/fid_small"], 3) for one in found],
    }


def variety(run: RunFolder) -> float:
    """Return the mean distance between pictures of one caption over that between real pictures of one caption."""
    module = load_module(run.last())
    data, features = make_data(module.recipe), extractor_named("small")
    rows = many_rows(len(data.reference), COUNT, 0)  # the rows whose captions `generated` uses
    captions = take(data.reference.condition, torch.from_numpy(rows))
    assert isinstance(captions, list)
    drawn = torch.cat([features(part) for part in generated(module, data.reference, COUNT, 0)])
    found = (variety_per_condition(x, captions) for x in (drawn, features(data.reference.get(rows))))
    fake, real = (fmean(one.values()) for one in found)
    return fake / real


def _draw(file: Path, runs: dict[str, RunFolder]) -> None:
    """Draw pictures of the same captions, one row for each head."""
    modules = {name: load_module(run.last()) for name, run in runs.items()}
    prompts = next(iter(modules.values())).spec.prompts[:ACROSS]
    rows = [_drawn(module, prompts) for module in modules.values()]
    titles = [f"{name}: {prompt}" for name in modules for prompt in prompts]
    atomic_write(file, png(grid(torch.cat(rows), titles, ACROSS)))


def _drawn(module: GenerativeModule, prompts: Sequence[str]) -> Tensor:
    """Return one picture of each prompt."""
    return torch.cat(list(draw(module, list(prompts), latents(module, range(len(prompts))))))
