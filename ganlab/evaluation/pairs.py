"""Generated pictures against the very pictures that they should be, where the condition is a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ganlab.core.generative import GenerativeModule
from ganlab.data.pictures import Pictures
from ganlab.data.rows import many_rows
from ganlab.evaluation.base import Ruler
from ganlab.evaluation.evidence import extractor_named, generated
from ganlab.metrics.frechet import Estimate
from ganlab.metrics.imagenet import ImageNet
from ganlab.metrics.pairs import l1_estimate, psnr_estimate
from ganlab.metrics.perceptual import perceptual_distance
from ganlab.metrics.result import Result
from ganlab.metrics.spread import standard_error

Results = dict[str, Result]


def _l1(fake: Tensor, truth: Tensor) -> Results:
    return {"l1": _result(l1_estimate(fake, truth))}


def _psnr(fake: Tensor, truth: Tensor) -> Results:
    return {"psnr": _result(psnr_estimate(fake, truth))}


def _perceptual(fake: Tensor, truth: Tensor) -> Results:
    network = extractor_named("imagenet")
    assert isinstance(network, ImageNet)
    each = perceptual_distance(network, fake, truth)
    return {network.metric("perceptual"): Result(float(each.mean()), standard_error(each), dict(network.protocol))}


def _result(found: Estimate) -> Result:
    return Result(found.value, found.spread, {})


MEASURES = {"l1": _l1, "psnr": _psnr, "perceptual": _perceptual}


class PairRuler(Ruler):
    """Distances between `count` generated pictures and the truth, inputs in turn as for the other measures."""

    leading, better = "l1", -1

    def __init__(self, names: Sequence[str], pictures: Pictures, split: str, count: int, seed: int) -> None:
        self.names, self.pictures, self.count, self.seed = names, pictures, count, seed
        self.protocol = {"split": split, "fakes": count, "seed": seed}

    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        fake = torch.cat([part.cpu() for part in generated(module, self.pictures, self.count, self.seed)])
        truth = self.pictures.get(many_rows(len(self.pictures), self.count, self.seed))
        found = {name: one for asked in self.names for name, one in MEASURES[asked](fake, truth).items()}
        return {name: Result(one.value, one.spread, {**one.protocol, **self.protocol}) for name, one in found.items()}
