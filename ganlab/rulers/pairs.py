"""Generated pictures against the very pictures that they should be, where the condition is a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ganlab.data.pictures import Pictures
from ganlab.generative import GenerativeModule
from ganlab.metrics.pairs import l1_estimate, psnr_estimate
from ganlab.metrics.result import Result
from ganlab.rulers.base import Ruler
from ganlab.rulers.evidence import generated, many_rows

MEASURES = {"l1": l1_estimate, "psnr": psnr_estimate}


class PairRuler(Ruler):
    """Distances between `count` generated pictures and the truth, inputs in turn as for the other measures."""

    leading, better = "l1", -1

    def __init__(self, names: Sequence[str], pictures: Pictures, split: str, count: int, seed: int) -> None:
        self.names, self.pictures, self.count, self.seed = names, pictures, count, seed
        self.protocol = {"split": split, "fakes": count, "seed": seed}

    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        fake = torch.cat([part.cpu() for part in generated(module, self.pictures, self.count, self.seed)])
        truth = self.pictures.get(many_rows(len(self.pictures), self.count, self.seed))
        return {name: Result(*MEASURES[name](fake, truth), self.protocol) for name in self.names}
