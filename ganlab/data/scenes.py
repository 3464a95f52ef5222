"""Scenes of coloured shapes: all possible scenes, their captions, and how often each is drawn.

A scene is one thing, or two things of different colours and a relation between them. Plain Python and numpy. Drawing is
in drawing.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

COLOURS = {
    "red": (222, 45, 45),
    "green": (40, 165, 75),
    "blue": (40, 70, 200),
    "yellow": (245, 195, 25),
    "purple": (160, 50, 180),
    "cyan": (40, 190, 215),
}
SHAPES = ("circle", "square", "triangle")
SIZES = ("small", "large")
RELATIONS = {"above": "below", "below": "above", "left of": "right of", "right of": "left of"}
HELD_OUT = ("red triangle", "blue circle", "yellow square")

_THING = rf"an? ({'|'.join(SIZES)}) ({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})"
_CAPTION = re.compile(rf"^{_THING}(?: ({'|'.join(RELATIONS)}) {_THING})?$")


@dataclass(frozen=True, order=True)
class Thing:
    """One shape, e.g. Thing("small", "red", "circle")."""

    size: str
    colour: str
    shape: str

    @property
    def combination(self) -> str:
        """Return the colour with the shape. Combinations can be held out of training."""
        return f"{self.colour} {self.shape}"

    def __str__(self) -> str:
        return f"a {self.size} {self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """One thing, or two with the relation of the first to the second. `str` gives the caption."""

    things: tuple[Thing, ...]
    relation: str | None = None

    def __str__(self) -> str:
        return str(self.things[0]) if self.relation is None else f"{self.things[0]} {self.relation} {self.things[1]}"

    def with_thing(self, place: int, thing: Thing) -> Scene:
        """Return the same scene with the thing at `place` replaced."""
        return Scene((*self.things[:place], thing, *self.things[place + 1 :]), self.relation)

    @property
    def turned(self) -> Scene:
        """Return the same scene, described from the other thing: 'A above B' becomes 'B below A'."""
        return self if self.relation is None else Scene(self.things[::-1], RELATIONS[self.relation])

    @property
    def key(self) -> str:
        """Return a string that is the same for both descriptions of a scene, and differs for any other scene."""
        return min(str(self), str(self.turned))


def parse(caption: str) -> Scene:
    """Return the scene that a caption describes. Raise `ValueError` if it is no caption of these scenes.

    >>> parse("a small red circle above a large blue square").things[1]
    Thing(size='large', colour='blue', shape='square')
    """
    found = _CAPTION.match(caption)
    if not found:
        raise ValueError(
            f"not a caption of `data=shapes`: '{caption}' (such as: 'a small red circle', 'a ... above a ...')"
        )
    first, relation, second = found.groups()[:3], found[4], found.groups()[4:]
    return Scene((Thing(*first), Thing(*second)), relation) if relation else Scene((Thing(*first),))


def things(held_out: Collection[str]) -> tuple[list[Thing], list[Thing]]:
    """Return all things: those of combinations in training, and the held-out ones."""
    every = [Thing(size, colour, shape) for size in SIZES for colour in COLOURS for shape in SHAPES]
    return [t for t in every if t.combination not in held_out], [t for t in every if t.combination in held_out]


def scenes(
    count: int, firsts: list[Thing], seconds: list[Thing], pairs: float, random: np.random.Generator
) -> list[Scene]:
    """Return `count` random scenes with a thing of `firsts`.

    A share of `pairs` has a second thing, of `seconds` and of another colour. Either may be named first, and all
    relations are equally likely.
    """
    return [_scene(firsts, seconds, random.random() < pairs, random) for _ in range(count)]


def _scene(firsts: list[Thing], seconds: list[Thing], pair: bool, random: np.random.Generator) -> Scene:
    first = _one(firsts, random)
    if not pair:
        return Scene((first,))
    second = _one([thing for thing in seconds if thing.colour != first.colour], random)
    scene = Scene((first, second), list(RELATIONS)[random.integers(len(RELATIONS))])
    return scene.turned if random.random() < 0.5 else scene


def near_miss(scene: Scene, shown: list[Thing], random: np.random.Generator) -> Scene:
    """Return a scene that differs in one respect: a thing's size, colour or shape, the relation, or the things' order.

    All respects are equally likely, but shape counts twice, because it is the hardest to see. Only `shown` things are
    used, so held-out things never occur in mismatched captions.
    """
    respects = ["size", "colour", "shape", "shape"] + ["relation", "order"] * (scene.relation is not None)
    for respect in random.permutation(respects):
        if changes := [other for other in _changed(scene, respect, shown) if _has_caption(other)]:
            return changes[random.integers(len(changes))]
    raise ValueError(f"no thing that training shows is like one of '{scene}' but for one attribute")


def _changed(scene: Scene, respect: str, shown: list[Thing]) -> list[Scene]:
    """Return all scenes that differ in this respect alone."""
    if respect == "relation":
        return [Scene(scene.things, relation) for relation in RELATIONS if relation != scene.relation]
    if respect == "order":
        return [Scene(scene.things[::-1], scene.relation)]
    places = enumerate(scene.things)
    return [scene.with_thing(i, other) for i, thing in places for other in shown if _differ(thing, other) == [respect]]


def _differ(thing: Thing, other: Thing) -> list[str]:
    """Return the attributes in which two things differ."""
    return [name for name in ("size", "colour", "shape") if getattr(thing, name) != getattr(other, name)]


def _has_caption(scene: Scene) -> bool:
    """Return whether the data can contain the scene: its two things never share a colour."""
    return len({thing.colour for thing in scene.things}) == len(scene.things)


def _one(choice: list[Thing], random: np.random.Generator) -> Thing:
    return choice[random.integers(len(choice))]
