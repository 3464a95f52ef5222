"""Caption accuracy: the agreement of pictures of `data=shapes` with their captions, as a whole and by attribute.

Plain torch. `sightings` reads the picture; this file compares the result with the caption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import torch
from torch import Tensor

from ganlab.data.scenes import Scene, Thing, parse
from ganlab.metrics.metric import HIGHER, Result, SampleMetric, Samples, Target
from ganlab.metrics.needs import CHECKABLE_CAPTIONS
from ganlab.metrics.sightings import Sighting, View, look
from ganlab.metrics.spread import share_error

ATTRIBUTES = ("count", "colour", "size", "shape", "relation")


@dataclass(frozen=True)
class CaptionAccuracy:
    """Shares of pictures, 0 to 1. all: everything is right. The others: the attribute is right for every thing.

    relation: a share of the captions that state one (NaN if none does). pictures: the number of judged pictures.
    """

    all: float
    count: float
    colour: float
    size: float
    shape: float
    relation: float
    pictures: int


def caption_accuracy(images: Tensor, captions: Sequence[str]) -> CaptionAccuracy:
    """Judge uint8 pictures (N, 3, S, S) by the N captions they were made from.

    Raise `ValueError` for captions that do not describe such shapes.
    """
    if len(images) != len(captions) or not len(captions):
        raise ValueError(f"caption accuracy needs a caption a picture, got {len(images)} and {len(captions)}")
    return of_verdicts(verdicts(images, captions))


def verdicts(images: Tensor, captions: Sequence[str]) -> Tensor:
    """Return 1 or 0 for each picture and each of `ATTRIBUTES`, NaN for a relation that the caption does not state.

    (N, 5) float64.
    """
    found = [verdict(view, parse(caption)) for view, caption in zip(look(images), captions, strict=True)]
    rows = [[float(one.get(name, torch.nan)) for name in ATTRIBUTES] for one in found]
    return torch.tensor(rows, dtype=torch.float64)


def of_verdicts(found: Tensor) -> CaptionAccuracy:
    """Return the shares of `verdicts` (N, 5)."""
    right = (found != 0).all(1)  # NaN counts as right
    shares = dict(zip(ATTRIBUTES, found.nanmean(0).tolist(), strict=True))
    return CaptionAccuracy(all=float(right.double().mean()), **shares, pictures=len(found))


def verdict(view: View, scene: Scene) -> dict[str, bool]:
    """Return by attribute whether the picture agrees with the scene; "relation" only if the scene states one."""
    count = len(view.things) == len(scene.things) and not view.litter
    wanted = len(scene.things)
    seen = [*view.things[:4], *[None] * wanted]
    return {"count": count} | max((_attributes(order, scene) for order in permutations(seen, wanted)), key=_right)


def _attributes(seen: Sequence[Sighting | None], scene: Scene) -> dict[str, bool]:
    pairs = list(zip(seen, scene.things, strict=True))
    found = {name: all(_agrees(name, *pair) for pair in pairs) for name in ("colour", "size", "shape")}
    return found if scene.relation is None else found | {"relation": stands(seen[0], seen[1], scene.relation)}


def _agrees(attribute: str, seen: Sighting | None, thing: Thing) -> bool:
    return seen is not None and getattr(seen, attribute) == getattr(thing, attribute)


def stands(first: Sighting | None, second: Sighting | None, relation: str) -> bool:
    """Return whether the first thing lies in that direction from the second, within 45 degrees."""
    if first is None or second is None:
        return False
    right, down = (a - b for a, b in zip(first.center, second.center, strict=True))
    reach, stray = {
        "above": (-down, right),
        "below": (down, right),
        "left of": (-right, down),
        "right of": (right, down),
    }[relation]
    return reach > abs(stray)


def _right(attributes: dict[str, bool]) -> tuple[int, bool]:
    """Return the key by which the best assignment of things is chosen: right attributes, then the right colour."""
    return sum(attributes.values()), attributes["colour"]


class CaptionOracle(SampleMetric):
    """Share of samples that agree with their whole caption, and by attribute; of unseen captions too."""

    name = "caption_accuracy"
    better = HIGHER
    needs = (CHECKABLE_CAPTIONS,)
    standard = True

    @classmethod
    def targets(cls, target: Target) -> list[Target]:
        """Return one target for each split whose captions can be checked."""
        return [replace(target, pictures=one, split=split) for split, one in target.checkable.items()]

    @classmethod
    def label(cls, target: Target, number: str) -> str:
        """Return the number's name with the split, unless that is the reference."""
        return number if target.split == "reference" else f"{number}_{target.split}"

    def look(self, samples: Samples) -> Tensor:
        """Keep the verdict on each attribute (N, 5)."""
        return verdicts(samples.images, self.target.captions(samples.places))

    def compute(self) -> Result:
        """Return the share of samples that are right as a whole; beside it those of each attribute."""
        found = of_verdicts(self.rows.values)
        protocol = {"fakes": found.pictures}
        beside = {f"caption_{name}": _result(name, getattr(found, name), protocol) for name in ATTRIBUTES}
        return Result(found.all, share_error(found.all, found.pictures), protocol, beside)


def _result(attribute: str, share: float, protocol: dict[str, int]) -> Result:
    """Return a share with its standard error. It is unknown for relations, because only some captions state one."""
    error = None if attribute == "relation" else share_error(share, protocol["fakes"])
    return Result(share, error, dict(protocol))
