"""Coloured shapes with their class, such as 'red circle': a labelled data set that needs no files.

Each picture has one thing of a random size and place. `shapes` has captions of the same scenes.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch

from ganlab.config.ranges import Count, Range, Seed, Workers
from ganlab.data.base import DataSpec, GanData
from ganlab.data.cache import cached_array
from ganlab.data.drawing import FACTS, draw, lay_out
from ganlab.data.pictures import Pictures
from ganlab.data.scenes import scenes, things
from ganlab.data.shapes import check_counts, check_drawable


class ShapeClassesData(GanData):
    """`count` training and `held_out_count` reference pictures of 18 classes, `size` pixels a side (32 to 128)."""

    kinds: ClassVar[tuple[str, ...]] = ("class",)

    def __init__(
        self,
        size: Annotated[int, Range(least=32, most=128)] = 32,
        count: Count = 20_000,
        held_out_count: Count = 2_000,
        workers: Workers = 0,
        seed: Seed = 0,
    ) -> None:
        super().__init__(workers, seed)
        check_drawable(size)
        check_counts(count, held_out_count)
        self.size, self.count, self.held_out_count = size, count, held_out_count

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        every, _ = things(())
        classes = tuple(dict.fromkeys(thing.combination for thing in every))
        train, reference = self._pictures(self.count, classes, 0), self._pictures(self.held_out_count, classes, 1)
        return train, reference, DataSpec(train.shape, "class", classes, prompts=classes)

    def _pictures(self, count: int, classes: tuple[str, ...], split: int) -> Pictures:
        every, _ = things(())
        drawn = scenes(count, every, every, 0.0, np.random.default_rng([self.seed, split, 2]))
        labels = torch.tensor([classes.index(scene.things[0].combination) for scene in drawn])
        facts = ["classes", self.size, self.seed, split, count, FACTS]
        places = np.random.default_rng([self.seed, split, 3])
        return Pictures(cached_array("shapes", facts, lambda: draw(lay_out(drawn, places), self.size)), labels)
