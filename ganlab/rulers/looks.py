"""How different generated pictures look from one another: LPIPS of random pairs."""

from __future__ import annotations

import torch

from ganlab.data.pictures import Pictures
from ganlab.errors import UserError
from ganlab.generative import GenerativeModule
from ganlab.metrics.perceptual import SIZED, for_lpips, pairwise_lpips
from ganlab.metrics.result import Result
from ganlab.metrics.weights import UnavailableError
from ganlab.rulers.base import Ruler
from ganlab.rulers.sources import Generated, Source

PAIRS, MOST, NET = 1000, 2000, "alex"


def lpips(source: Source, seed: int) -> dict[str, Result]:
    """Of random pairs among the source's first `MOST` pictures; `UserError` where LPIPS's weights cannot be had."""
    looks = []
    for images, _ in source.batches():
        looks.append(for_lpips(images.cpu()))
        if sum(map(len, looks)) >= MOST:
            break
    shown = torch.cat(looks)[:MOST]
    try:
        found = pairwise_lpips(shown, PAIRS, NET, torch.Generator().manual_seed(seed))
    except UnavailableError as error:
        raise UserError(f"`metrics`: lpips cannot be measured: {error}") from error
    protocol = {"backbone": NET, "resizer": str(SIZED), "pairs": PAIRS, "fakes": len(shown), "seed": seed}
    return {"lpips": Result(found.value, found.spread, protocol)}


class LpipsRuler(Ruler):
    """LPIPS of random pairs of generated pictures."""

    leading, better = "lpips", 1

    def __init__(self, pictures: Pictures, split: str, count: int, seed: int) -> None:
        self.pictures, self.split, self.count, self.seed = pictures, split, count, seed

    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        found = lpips(Generated(module, self.pictures, self.count, self.seed), self.seed)["lpips"]
        return {"lpips": Result(found.value, found.spread, {**found.protocol, "split": self.split})}
