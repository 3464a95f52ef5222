"""Pictures of two things whose captions do not give their places, and answers to such captions without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.data.batch import to_float
from ganlab.data.drawing import Layout, draw, lay_out
from ganlab.data.pictures import Pictures
from ganlab.data.scenes import RELATIONS, Scene, Thing, parse
from ganlab.data.shapes import ShapesData

SIZE, ANSWERS = 32, 64  # pixels; right answers to a caption in each mean
AND = " and "
KNOWN = ("red circle", "green square", "blue triangle", "yellow circle", "purple square", "cyan triangle")


class UnplacedShapes(ShapesData):
    """Two large things a picture, captions without their relation: "a large red circle and a large blue triangle"."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "pairs": 1.0, "near_misses": 0.0})
        self._shown, self._hidden = [Thing("large", *words.split()) for words in KNOWN], []

    def _pictures(self, count: int, firsts: list[Thing], seconds: list[Thing], split: int) -> Pictures:
        placed = super()._pictures(count, firsts, seconds, split)
        assert isinstance(placed.condition, list)
        pairs = [parse(caption).things for caption in placed.condition]
        return Pictures(
            placed.images, [AND.join(map(str, pair)) for pair in pairs], [tuple(sorted(pair)) for pair in pairs]
        )

    @property
    def checkable(self) -> dict[str, Pictures]:
        """Return no split: the oracle needs captions with a relation."""
        return {}


def parse_caption(caption: str) -> Scene:
    """Return the two things that a caption names, as a scene without a relation."""
    return Scene(tuple(parse(part).things[0] for part in caption.split(AND)))


# Answers without a network -------------------------------------------------------------------------------------------


def composed_answers(scenes: Sequence[Scene], seed: int) -> dict[str, Tensor]:
    """Return pictures (N, 3, side, side) of N scenes: right ones, ones with parts from two right ones, their mean."""
    random = np.random.default_rng([seed, 0])
    layouts = [lay_out([with_some_relation(scene, random) for scene in scenes], random) for _ in range(ANSWERS)]
    right, other = pictures(layouts[0]), pictures(layouts[1])
    return {
        "another right answer": right,
        "things placed apart": pictures(things_apart(layouts[0], layouts[1])),
        "halves drawn apart": torch.cat([right[..., : SIZE // 2], other[..., SIZE // 2 :]], dim=-1),
        "mean of right answers": torch.stack([pictures(layout) for layout in layouts]).mean(0),
    }


def with_some_relation(scene: Scene, random: np.random.Generator) -> Scene:
    """Return the scene with a relation drawn as in the data."""
    return Scene(scene.things, list(RELATIONS)[random.integers(len(RELATIONS))])


def pictures(layout: Layout) -> Tensor:
    """Return pictures (N, 3, SIZE, SIZE) in [-1, 1] of a layout."""
    return to_float(torch.from_numpy(draw(layout, SIZE)))


def things_apart(layout: Layout, other: Layout) -> Layout:
    """Return a layout with each scene's first thing from one layout and its second thing from the other."""
    return replace(layout, center=np.stack([layout.center[:, 0], other.center[:, 1]], axis=1))
