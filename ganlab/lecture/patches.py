"""A discriminator of patches is enough for sharp pictures; it need not see the whole.

Isola et al. 2017, section 4.4, on OpenMoji's outlines. The U-Net, rates and iterations are the same, with the L1
distance alone and with discriminators that see one pixel, patches of 16 and 34, or all of the 64 pixels. Everything is
measured on held-out outlines, one picture each, of the moving average at the last iteration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlab.core.assembly import make_data
from ganlab.core.checkpoints import load_module
from ganlab.data.base import GanData
from ganlab.data.batch import take, to_float
from ganlab.data.rows import many_rows, some_rows
from ganlab.evaluation.sources import generated
from ganlab.files.run_folder import RunFolder
from ganlab.lecture.runs import summary, trained
from ganlab.lecture.strips import draw, steepness
from ganlab.metrics.features import Small
from ganlab.metrics.moments import frechet_distance_of_sets
from ganlab.metrics.pairs import l1_distance

ITERATIONS, SHOWN = 900, 5
ARMS: dict[str, tuple[str, ...]] = {
    "L1 alone": ("variant.realism_weight=0", "network.discriminator.patch=1"),
    "pixel": ("network.discriminator.patch=1",),
    "patch of 16": ("network.discriminator.patch=16",),
    "patch of 34": ("network.discriminator.patch=34",),
    "whole picture": ("network.discriminator.patch=142",),
}


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    runs = trained(folder / "runs" / "patches", {name: _words(name, seed) for name in ARMS})
    data = make_data(load_module(next(iter(runs.values())).last()).recipe)
    inputs, truth = _held_out(data, seed)
    drawn = {name: _drawn(one, data, seed) for name, one in runs.items()}
    rows = {"outline": inputs, **drawn, "truth": truth}
    draw({name: to_float(images[:SHOWN]) for name, images in rows.items()}, folder / "patches.png")
    return {
        "held_out": len(truth),
        "other real pictures": {
            "fid_small": _distance(data.train.get(some_rows(len(data.train), len(truth), seed)), truth)
        },
        **{name: measured(images, truth, inputs) for name, images in rows.items() if name != "truth"},
        "runs": {name: {key: summary(one)[key] for key in ("iterations", "seconds")} for name, one in runs.items()},
    }


def _words(name: str, seed: int) -> list[str]:
    """Return the recipe, for fewer iterations and without measurements during training."""
    quiet = [f"callbacks.{one}=null" for one in ("quality", "collapse", "pictures", "game")]
    return ["recipe=patchgan", f"trainer.max_steps={ITERATIONS}", f"seed={seed}", *quiet, *ARMS[name]]


def _held_out(data: GanData, seed: int) -> tuple[Tensor, Tensor]:
    """Return all held-out outlines and their pictures, uint8 (N, 3, side, side), in the order of `generated`."""
    rows = many_rows(len(data.reference), len(data.reference), seed)
    inputs = take(data.reference.condition, torch.from_numpy(rows))
    assert isinstance(inputs, Tensor)
    return inputs, data.reference.get(rows)


def _drawn(run: RunFolder, data: GanData, seed: int) -> Tensor:
    """Return a picture of each held-out outline, uint8 (N, 3, side, side)."""
    return torch.cat(list(generated(load_module(run.last()), data.reference, len(data.reference), seed)))


# Scores -----------------------------------------------------------------------------------------------------------


def measured(images: Tensor, truth: Tensor, inputs: Tensor) -> dict[str, float]:
    """Return distances from the truth, by pixels and in features; other measures are shares of the truth's own."""
    return {
        "l1": l1_distance(images, truth),
        "fid_small": _distance(images, truth),
        "steepness": steepness(to_float(images)) / steepness(to_float(truth)),
        "color": color(images) / color(truth),
        "unevenness": unevenness(images, inputs) / unevenness(truth, inputs),
    }


def _distance(images: Tensor, truth: Tensor) -> float:
    """Return the Fréchet distance under the small extractor.

    The pictures of a pair have the same content, so it is lower than between independent sets.
    """
    extractor = Small()
    return float(frechet_distance_of_sets(extractor(truth), extractor(images)))


def color(images: Tensor) -> float:
    """Return the mean difference between the strongest and the weakest channel: 0 for grey. (N, 3, H, W) uint8."""
    return float((images.amax(1).float() - images.amin(1).float()).mean())


def unevenness(images: Tensor, inputs: Tensor) -> float:
    """Return the mean absolute difference between horizontal neighbours that are both paper in the outlines.

    It is 0 for flat fills.
    """
    paper = inputs.amin(1) > 250
    both = (paper[..., 1:] & paper[..., :-1])[:, None].expand(-1, images.shape[1], -1, -1)
    return float(images.float().diff(dim=-1).abs()[both].mean())
