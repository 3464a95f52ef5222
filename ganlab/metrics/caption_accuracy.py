"""Do pictures of `data=shapes` show what their captions say? All of it, and attribute by attribute.

Plain torch. What a picture shows is for `sightings` to say; here it is held against the caption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from torch import Tensor

from ganlab.data.scenes import Scene, Thing, parse
from ganlab.metrics.sightings import Sighting, View, look

ATTRIBUTES = ("count", "colour", "size", "shape", "relation")


@dataclass(frozen=True)
class CaptionAccuracy:
    """Shares of pictures, 0 to 1: everything right; each attribute right for every thing of the caption.

    `relation` is a share of the captions that tell one (NaN when none does). `pictures` is how many were judged.
    """

    all: float
    count: float
    colour: float
    size: float
    shape: float
    relation: float
    pictures: int


def caption_accuracy(images: Tensor, captions: Sequence[str]) -> CaptionAccuracy:
    """uint8 pictures (N, 3, S, S) with the N captions they were made from. ValueError for captions of another world."""
    if len(images) != len(captions) or not len(captions):
        raise ValueError(f"caption accuracy needs a caption a picture, got {len(images)} and {len(captions)}")
    verdicts = [verdict(view, parse(caption)) for view, caption in zip(look(images), captions, strict=True)]
    share = {name: _share([v[name] for v in verdicts if name in v]) for name in ATTRIBUTES}
    return CaptionAccuracy(all=_share([all(v.values()) for v in verdicts]), **share, pictures=len(captions))


def verdict(view: View, scene: Scene) -> dict[str, bool]:
    """By attribute, whether the picture is as the scene says; "relation" only where the scene tells one."""
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
    """Whether the first thing lies in that direction from the second: within 45 degrees of it."""
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
    """Which thing is which is read in the picture's favour; between equals, by colour."""
    return sum(attributes.values()), attributes["colour"]


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right) if right else float("nan")
