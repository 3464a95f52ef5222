"""Numbers that are made of features: by name, how each is computed, what it needs, and which way is better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganlab.data.rows import some_rows
from ganlab.errors import UserError, suggestion
from ganlab.metrics.bins import LEVEL, bin_report
from ganlab.metrics.conditional import realism_per_condition, variety_per_condition
from ganlab.metrics.copying import TWIN, copying, twin_distance, twins
from ganlab.metrics.diversity import vendi
from ganlab.metrics.fidelity import Members, members
from ganlab.metrics.frechet import POINTS, Estimate, frechet, frechet_infinity, frechet_per_class
from ganlab.metrics.gathering import Sample
from ganlab.metrics.kernels import SIGMA, cmmd, kid
from ganlab.metrics.result import Result
from ganlab.metrics.spread import jackknife, standard_error

KID_SUBSETS, KID_SIZE = 50, 1000
NEIGHBOURS = 5
Results = dict[str, Result]


@dataclass(frozen=True)
class Evidence:
    """Both kinds as an extractor saw them; `train`: what the generator learned from, where that was asked for."""

    real: Sample
    fake: Sample
    seed: int = 0
    train: Sample | None = field(default=None)

    @property
    def pairs(self) -> int:
        return min(len(self.real.features), len(self.fake.features))

    @cached_property
    def alike(self) -> tuple[Tensor, Tensor]:
        """As many reals as fakes, at random, because how far balls and bins reach depends on how many there are."""
        sides = (self.real.features, self.fake.features)
        real, fake = (x[torch.from_numpy(some_rows(len(x), self.pairs, self.seed))] for x in sides)
        return real, fake

    @cached_property
    def members(self) -> Members:
        """Slow: made once."""
        return members(*self.alike, NEIGHBOURS)

    @property
    def random(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)


def _result(found: Estimate, **protocol: Any) -> Result:
    return Result(found.value, found.spread, protocol)


def _fid(seen: Evidence) -> Results:
    return {"fid": _result(frechet(seen.real, seen.fake))}


def _fid_infinity(seen: Evidence) -> Results:
    found = frechet_infinity(seen.real, seen.fake, seen.random)
    return {"fid_infinity": _result(found, points=POINTS, compared=len(seen.fake.features))}


def _fid_per_class(seen: Evidence) -> Results:
    """The mean over classes with their deviation, then each."""
    real, fake = seen.real, seen.fake
    found = frechet_per_class(real.features, real.labels, fake.features, fake.labels)
    values = torch.tensor([one.value for one in found.values()], dtype=torch.float64)
    mean = Result(float(values.mean()), float(values.std(correction=0)), {"classes": len(found)})
    each = {
        f"fid_class_{name}": _result(one, reals=real.labels.count(name), fakes=fake.labels.count(name))
        for name, one in found.items()
    }
    return {"fid_per_class": mean, **each}


def _kid(seen: Evidence) -> Results:
    size = min(KID_SIZE, seen.pairs // 2)
    found = kid(seen.real.features, seen.fake.features, KID_SUBSETS, size, seen.random)
    return {"kid": _result(found, subsets=KID_SUBSETS, subset_size=size)}


def _cmmd(seen: Evidence) -> Results:
    counts = {"compared_reals": len(seen.real.features), "compared": len(seen.fake.features)}
    return {"cmmd": _result(cmmd(seen.real.features, seen.fake.features), sigma=SIGMA, **counts)}


def _inception_score(seen: Evidence) -> Results:
    assert seen.fake.scores is not None
    scores = seen.fake.scores.scores()
    return {"is": Result(float(scores.mean()), float(scores.std(correction=0)), {"splits": len(scores)})}


def _of_manifold(name: str) -> Callable[[Evidence], Results]:
    """One of the four."""

    def compute(seen: Evidence) -> Results:
        values = getattr(seen.members, name)
        protocol = {"k": NEIGHBOURS, "compared": seen.pairs}
        return {name: Result(float(values.mean()), standard_error(values), protocol)}

    return compute


def _bins(seen: Evidence) -> Results:
    found = bin_report(*seen.alike, generator=seen.random)
    protocol = {"bins": found.bins, "level": LEVEL, "compared": seen.pairs}
    return {
        "ndb": Result(found.different, None, protocol),
        "bin_js": Result(found.js, found.js_spread, protocol),
    }


def _vendi(seen: Evidence) -> Results:
    reals, fakes = seen.alike
    protocol = {"kernel": "cosine", "compared": seen.pairs}
    return {
        "vendi": Result(vendi(fakes), jackknife(vendi, fakes), protocol),
        "vendi_of_reals": Result(vendi(reals), jackknife(vendi, reals), protocol),
    }


def _copying(seen: Evidence) -> Results:
    assert seen.train is not None
    found = copying(seen.fake.features, seen.train.features)
    protocol = {"trained_on": seen.train.count, "compared_reals": len(seen.train.features)}
    return {
        "copying": Result(found.probability, found.spread, protocol),
        "nearest": Result(found.ratio, found.ratio_spread, protocol),
    }


def _duplicates(seen: Evidence) -> Results:
    """Of fakes, and of as many reals: data have twins too."""
    reals, fakes = seen.alike
    threshold = twin_distance(reals)
    protocol = {"twin": f"{TWIN} of the median nearest distance", "threshold": threshold, "compared": seen.pairs}
    found = {"duplicates": twins(fakes, threshold), "duplicates_of_reals": twins(reals, threshold)}
    return {name: Result(one.share, one.spread, protocol) for name, one in found.items()}


def _condition_diversity(seen: Evidence) -> Results:
    """The mean over conditions with its error, and what it is of reals."""
    found = {
        "condition_diversity": variety_per_condition(seen.fake.features, seen.fake.labels),
        "condition_diversity_of_reals": variety_per_condition(seen.real.features, seen.real.labels),
    }
    values = {name: torch.tensor(list(one.values()), dtype=torch.float64) for name, one in found.items()}
    return {
        name: Result(float(one.mean()), standard_error(one), {"conditions": len(one)}) for name, one in values.items()
    }


def _condition_realism(seen: Evidence) -> Results:
    real, fake = seen.real, seen.fake
    found = realism_per_condition(real.features, real.labels, fake.features, fake.labels)
    values = torch.tensor(list(found.values()), dtype=torch.float64)
    worst = min(found, key=found.__getitem__)
    protocol = {"k": 3, "conditions": len(found)}
    return {
        "condition_realism": Result(float(values.mean()), standard_error(values), protocol),
        "condition_realism_worst": Result(found[worst], None, protocol),
    }


class Measure(NamedTuple):
    """How to compute it; whether more (+1) or less (-1) is better; what it needs beside sums: "nothing", "features" of
    reals, "classes" that the extractor names, "labels" of the pictures, the pictures it was "train"ed on."""

    compute: Callable[[Evidence], Results]
    better: int
    needs: str


MEASURES = {
    "fid": Measure(_fid, -1, "nothing"),
    "kid": Measure(_kid, -1, "features"),
    "is": Measure(_inception_score, 1, "classes"),
    **{name: Measure(_of_manifold(name), 1, "features") for name in ("precision", "recall", "density", "coverage")},
    "cmmd": Measure(_cmmd, -1, "features"),
    "fid_infinity": Measure(_fid_infinity, -1, "nothing"),
    "fid_per_class": Measure(_fid_per_class, -1, "labels"),
    "ndb": Measure(_bins, -1, "features"),
    "vendi": Measure(_vendi, 1, "features"),
    "copying": Measure(_copying, -1, "train"),
    "duplicates": Measure(_duplicates, -1, "features"),
    "condition_diversity": Measure(_condition_diversity, 1, "labels"),
    "condition_realism": Measure(_condition_realism, 1, "labels"),
}


def checked_measures(names: Sequence[str]) -> tuple[str, ...]:
    """`names`; `UserError` if there is none, or an unknown one."""
    unknown = [name for name in names if name not in MEASURES]
    if unknown or not names:
        word = unknown[0] if unknown else ""
        raise UserError(f"`metrics` has {word or 'nothing'!r} in it: {suggestion(word, list(MEASURES))}")
    return tuple(names)


def check_needs(names: Sequence[str], classes: int, real: Sample, train: Sample | None) -> None:
    """`UserError` for a measure whose needs are not met, before any picture is generated."""
    for name in names:
        if complaint := _missing(MEASURES[name].needs, classes, real, train):
            raise UserError(f"`metrics`: {name} cannot be measured: {complaint}")


def _missing(needs: str, classes: int, real: Sample, train: Sample | None) -> str:
    """What is not there, in words; nothing if all is."""
    if needs == "classes":
        return "" if classes else "the extractor names no classes; inception, imagenet and small do"
    if needs in ("features", "labels") and not len(real.features):
        return "the reference file has mean and covariance only; pass a folder, or a file of save_reference"
    if needs == "labels":
        return "" if real.labels else "pictures have no classes or captions (in folders: one folder a class)"
    return "" if needs != "train" or train is not None else "what the generator was trained on is not known"


def measured(names: Sequence[str], seen: Evidence) -> dict[str, Results]:
    """By measure, the numbers that it gives; `UserError` for one that these pictures are too few for, or the like."""
    found = {}
    for name in names:
        try:
            found[name] = MEASURES[name].compute(seen)
        except ValueError as error:
            raise UserError(f"`metrics`: {name} cannot be measured: {error}") from error
    return found
