"""Coloured shapes with captions, drawn from a seed. All captions can be checked, and some things are never shown.

No files are needed. `scenes` has the possible scenes, `drawing` draws them; `ganlab.metrics.caption_accuracy` judges
pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np

from ganlab.config.ranges import Count, Fraction, Range, Seed, Workers
from ganlab.data.base import DataSpec, GanData
from ganlab.data.cache import cached_array
from ganlab.data.drawing import FACTS, draw, lay_out
from ganlab.data.pictures import Pictures
from ganlab.data.scenes import COLOURS, HELD_OUT, SHAPES, Scene, Thing, near_miss, parse, scenes, things
from ganlab.data.splits import text_spec
from ganlab.errors import UserError

SMALLEST, LARGEST = 32, 128
PROMPTS = 8  # the number shown by default of the training captions, and of held-out combinations


class ShapesData(GanData):
    """Pictures of one or two things, such as 'a small red circle above a large blue square'.

    `count` training and `held_out_count` reference pictures, `size` pixels a side (32 to 128); a share of `pairs` has
    two things. `near_misses`: the share of mismatched captions that are a picture's own with one thing changed; the
    others are another picture's. `held_out`: combinations of colour and shape that neither split ever shows, and no
    mismatched caption names. After `setup`, `unseen` is a third split, in which each picture shows one of those.
    Raise `UserError` for settings that cannot be drawn.
    """

    kinds: ClassVar[tuple[str, ...]] = ("text",)
    unseen: Pictures

    def __init__(
        self,
        size: Annotated[int, Range(least=32, most=128)] = 32,
        count: Count = 20_000,
        held_out_count: Count = 2_000,
        pairs: Fraction = 0.75,
        near_misses: Fraction = 0.5,
        held_out: Sequence[str] = HELD_OUT,
        workers: Workers = 0,
        seed: Seed = 0,
    ) -> None:
        super().__init__(workers, seed)
        check_drawable(size)
        check_counts(count, held_out_count)
        if not 0 <= pairs <= 1:
            raise UserError(f"`data.pairs` must be a share from 0 to 1, got {pairs}")
        self.size, self.count, self.held_out_count, self.pairs = size, count, held_out_count, pairs
        if not 0 <= near_misses <= 1:
            raise UserError(f"`data.near_misses` must be a share from 0 to 1, got {near_misses}")
        self.held_out, self.near_misses = checked(held_out), near_misses
        self._shown, self._hidden = things(self.held_out)

    @property
    def checkable(self) -> dict[str, Pictures]:
        """Return held-out pictures of combinations that training shows, and of those that it does not show."""
        return {"reference": self.reference, "unseen": self.unseen}

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        shown, hidden = self._shown, self._hidden
        self.unseen = self._pictures(self.held_out_count, hidden or shown, shown + hidden, 2)
        train = self._pictures(self.count, shown, shown, 0)
        reference = self._pictures(self.held_out_count, shown, shown, 1)
        return train, reference, self._spec(train)

    def _pictures(self, count: int, firsts: list[Thing], seconds: list[Thing], split: int) -> Pictures:
        drawn = scenes(count, firsts, seconds, self.pairs, np.random.default_rng([self.seed, split, 0]))
        captions, keys = [str(scene) for scene in drawn], [scene.key for scene in drawn]
        facts = [self.size, self.seed, split, captions, FACTS]
        images = cached_array("shapes", facts, lambda: self._draw(drawn, split))
        return Pictures(images, captions, keys, misfit=self._misfit)

    def _misfit(self, own: str, other: str, random: np.random.Generator) -> str:
        """Return a mismatched caption: another picture's, or a near miss of this one's."""
        if random.random() >= self.near_misses:
            return other
        return str(near_miss(parse(own), self._shown, random))

    def _draw(self, drawn: list[Scene], split: int) -> np.ndarray:
        return draw(lay_out(drawn, np.random.default_rng([self.seed, split, 1])), self.size)

    def _spec(self, train: Pictures) -> DataSpec:
        captions, strange = train.condition, self.unseen.condition
        assert isinstance(captions, list) and isinstance(strange, list)
        prompts = [*dict.fromkeys(captions)][:PROMPTS] + [*dict.fromkeys(strange)][:PROMPTS]
        return text_spec(train, prompts)


def check_drawable(size: int) -> None:
    """Raise `UserError` for a picture too small to tell shapes apart, or larger than needed."""
    if not SMALLEST <= size <= LARGEST:
        raise UserError(
            f"`data.size` must be from {SMALLEST} to {LARGEST}, got {size}: at 16 pixels shapes cannot be told"
        )


def check_counts(count: int, held_out_count: int) -> None:
    """Raise `UserError` unless both splits have pictures."""
    if count < 1 or held_out_count < 1:
        raise UserError(f"`data.count` and `data.held_out_count` must be at least 1, got {count} and {held_out_count}")


def checked(held_out: Sequence[str]) -> tuple[str, ...]:
    """Return the combinations. Raise `UserError` unless all exist and each colour and shape remains in training."""
    every = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
    for combination in held_out:
        if combination not in every:
            raise UserError(f"`data.held_out` takes a colour with a shape, such as 'red triangle', got '{combination}'")
    shown = [combination for combination in every if combination not in held_out]
    missing = [word for word in (*COLOURS, *SHAPES) if not any(word in one.split() for one in shown)]
    if missing:
        raise UserError(f"`data.held_out` leaves no '{missing[0]}' to train on: hold out fewer combinations of it")
    return tuple(held_out)
