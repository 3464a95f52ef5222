"""Fréchet distance and its kin, between features of generated pictures and of real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ganlab.data.pictures import Pictures
from ganlab.errors import UserError
from ganlab.generative import GenerativeModule
from ganlab.grammar.catalog import suggestion
from ganlab.metrics.features import Classifier
from ganlab.metrics.fidelity import Manifold, frechet_distance_of_sets, inception_score, kid, manifold
from ganlab.metrics.moments import Gaussian, Moments
from ganlab.metrics.result import Result
from ganlab.rulers.base import Ruler
from ganlab.rulers.evidence import extractor_named, generated, real_features, some_rows

MOST_REALS = 10_000  # real pictures whose features are kept: 80 MB of Inception's
KID_SUBSETS = 50


@dataclass(frozen=True)
class Evidence:
    """Features of both kinds, the reals' mean and covariance, the fakes' class logits."""

    real: Tensor
    gaussian: Gaussian
    fake: Tensor
    logits: Tensor
    seed: int

    @cached_property
    def manifold(self) -> Manifold:
        """Of as many reals as fakes, because the reach of the balls depends on how many there are. Slow: made once."""
        return manifold(self.real[: self.pairs], self.fake[: self.pairs])

    @property
    def pairs(self) -> int:
        return min(len(self.real), len(self.fake))


def _fid(seen: Evidence) -> Result:
    """By the cached root of the reals' covariance; with fewer samples than features by the form that is exact there."""
    if min(len(seen.real), len(seen.fake)) <= seen.real.shape[1]:
        return Result(frechet_distance_of_sets(seen.real, seen.fake))
    return Result(seen.gaussian.distance(Moments.of(seen.fake).gaussian()))


def _kid(seen: Evidence) -> Result:
    size = min(1000, min(len(seen.real), len(seen.fake)) // 2)
    draw = torch.Generator().manual_seed(seen.seed)
    return Result(*kid(seen.real, seen.fake, KID_SUBSETS, size, draw), {"subsets": KID_SUBSETS, "subset_size": size})


def _inception_score(seen: Evidence) -> Result:
    return Result(*inception_score(seen.logits, 10, torch.Generator().manual_seed(seen.seed)), {"splits": 10})


def _of_manifold(name: str) -> Callable[[Evidence], Result]:
    """One of the four."""
    return lambda seen: Result(getattr(seen.manifold, name), None, {"k": 5, "reals": seen.pairs})


class Measure(NamedTuple):
    """How to compute it, and whether more (+1) or less (-1) of it is better."""

    compute: Callable[[Evidence], Result]
    better: int


MEASURES = {
    "fid": Measure(_fid, -1),
    "kid": Measure(_kid, -1),
    "is": Measure(_inception_score, 1),
    **{name: Measure(_of_manifold(name), 1) for name in ("precision", "recall", "density", "coverage")},
}


def checked_measures(names: Sequence[str]) -> tuple[str, ...]:
    """`names`; `UserError` if there is none, or an unknown one."""
    unknown = [name for name in names if name not in MEASURES]
    if unknown or not names:
        word = unknown[0] if unknown else ""
        raise UserError(f"`metrics` has {word or 'nothing'!r} in it: {suggestion(word, list(MEASURES))}")
    return tuple(names)


class PictureRuler(Ruler):
    """Fréchet distance and its kin between features of generated pictures and of the split's."""

    def __init__(
        self, names: Sequence[str], extractor: str, pictures: Pictures, split: str, count: int, seed: int
    ) -> None:
        self.names, self.count, self.seed = names, count, seed
        self.pictures = pictures
        self.extractor: Classifier = extractor_named(extractor)
        self.real = real_features(self.extractor, pictures, some_rows(len(pictures), MOST_REALS, seed))
        self.gaussian = Moments.of(self.real).gaussian()
        self.leading, self.better = self.extractor.metric(names[0]), MEASURES[names[0]].better
        self.protocol = {
            **self.extractor.protocol,
            "split": split,
            "reals": len(self.real),
            "fakes": count,
            "seed": seed,
        }

    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        self.extractor.to(module.device)
        batches = [self.extractor.both(images) for images in generated(module, self.pictures, self.count, self.seed)]
        fake, logits = (torch.cat([pair[i].cpu() for pair in batches]) for i in (0, 1))
        seen = Evidence(self.real, self.gaussian, fake, logits, self.seed)
        return {self.extractor.metric(name): self._stamped(MEASURES[name].compute(seen)) for name in self.names}

    def _stamped(self, result: Result) -> Result:
        return Result(result.value, result.spread, {**self.protocol, **result.protocol})
