"""How different generated pictures look from one another: the mean distance of random pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganlab.core.generative import GenerativeModule
from ganlab.data.pictures import Pictures
from ganlab.errors import UserError
from ganlab.evaluation.base import Ruler
from ganlab.evaluation.evidence import extractor_named
from ganlab.evaluation.sources import Generated, Source
from ganlab.metrics.imagenet import ImageNet
from ganlab.metrics.lpips import SIZED, for_lpips, pairwise_lpips
from ganlab.metrics.perceptual import embedding, pairwise_perceptual
from ganlab.metrics.result import Result
from ganlab.networks.weights import UnavailableError

PAIRS, NET = 1000, "alex"
MOST = {"lpips": 2000, "perceptual_diversity": 1000}
"""How many of a source's first pictures are kept for pairs: of LPIPS 50 kB each, of the other 190."""


def lpips(source: Source, seed: int) -> dict[str, Result]:
    """Return the mean LPIPS of random pairs. `UserError` if LPIPS's weights cannot be had."""
    looks = _first(source, MOST["lpips"], lambda images: for_lpips(images.cpu()))
    try:
        found = pairwise_lpips(looks, PAIRS, NET, torch.Generator().manual_seed(seed))
    except UnavailableError as error:
        raise UserError(
            f"`metrics`: lpips cannot be measured: {error}; perceptual_diversity needs no download"
        ) from error
    protocol = {"backbone": NET, "resizer": str(SIZED), "pairs": PAIRS, "fakes": len(looks), "seed": seed}
    return {"lpips": Result(found.value, found.spread, protocol)}


@torch.no_grad()
def perceptual_diversity(source: Source, seed: int) -> dict[str, Result]:
    """Return the mean perceptual distance of random pairs."""
    network = extractor_named("imagenet")
    assert isinstance(network, ImageNet)
    looks = _first(source, MOST["perceptual_diversity"], lambda images: embedding(network, images).cpu())
    found = pairwise_perceptual(looks, PAIRS, torch.Generator().manual_seed(seed))
    protocol: dict[str, Any] = {**network.protocol, "pairs": PAIRS, "fakes": len(looks), "seed": seed}
    return {network.metric("perceptual_diversity"): Result(found.value, found.spread, protocol)}


def _first(source: Source, most: int, look: Callable[[Tensor], Tensor]) -> Tensor:
    """Return `look` of the source's first `most` pictures."""
    looks: list[Tensor] = []
    for images, _ in source.batches():
        looks.append(look(images))
        if sum(map(len, looks)) >= most:
            break
    return torch.cat(looks)[:most]


MEASURES = {"lpips": lpips, "perceptual_diversity": perceptual_diversity}


class LookRuler(Ruler):
    """One of `MEASURES`, of generated pictures."""

    better = 1

    def __init__(self, name: str, pictures: Pictures, split: str, count: int, seed: int) -> None:
        self.leading, self.pictures, self.split, self.count, self.seed = name, pictures, split, count, seed

    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        source = Generated(module, self.pictures, self.count, self.seed)
        found = MEASURES[self.leading](source, self.seed)
        return {
            name: Result(one.value, one.spread, {**one.protocol, "split": self.split}) for name, one in found.items()
        }
