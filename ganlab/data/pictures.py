"""A finite set of pictures with their conditions: in memory, memory mapped, or read when they are asked for.

Each data set becomes one of these. This module reads no files: a `Source` does.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from ganlab.data.batch import Batch, Condition, take
from ganlab.data.neighbours import Neighbours
from ganlab.data.order import Balanced, rows_at
from ganlab.data.source import Source, UnreadableError
from ganlab.errors import UserError

Misfit = Callable[[str, str, np.random.Generator], str]
ATTEMPTS = 16  # redraws of a mismatched partner before all candidates are searched


@dataclass
class Pictures:
    """N pictures with their conditions.

    `images`: uint8 (N, C, H, W), an array, a memory map, a tensor or a `Source`; points are float32 (N, D).
    `condition`: N captions, classes (N,) int64, images (N, C, H, W) uint8, or None.
    `keys`: identify the content of each picture. Two pictures with the same key fit each other's condition, so neither
    is a mismatch for the other. Defaults to the condition itself. If the condition is an image there are no mismatches.
    `flip`: mirror half of the pictures, drawn at random, left to right, together with an image that is its condition;
    or a mask (N,) bool of those that may be mirrored.
    `wordings`: all captions of each picture if there are several; a batch draws one of them at random.
    `neighbours`: the pictures that a share of the mismatched partners is drawn from. All pictures without them.
    `misfit`: makes a mismatched caption from a picture's own and another's. Without it, the other's is used unchanged.
    `balanced`: draw each class equally often in training. The condition must be classes.
    """

    images: np.ndarray | Tensor | Source
    condition: Condition = None
    keys: Sequence[Hashable] | None = None
    flip: bool | np.ndarray = False
    wordings: Sequence[Sequence[str]] | None = None
    neighbours: Neighbours | None = None
    misfit: Misfit | None = None
    balanced: bool = False
    _codes: np.ndarray | None = field(default=None, init=False, repr=False)
    _balance: Balanced | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.condition is not None and len(self.condition) != len(self.images):
            raise ValueError(f"{len(self.images)} images but {len(self.condition)} conditions")
        if self.condition is not None and not are_images(self.condition):
            self._codes = _codes(self.keys if self.keys is not None else self.condition)
        if self.balanced:
            self._balance = Balanced(_classes(self.condition))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one picture, (C, H, W) or (D,)."""
        return tuple(self.images.shape[1:])

    def rows_at(self, position: int, count: int, seed: int) -> np.ndarray:
        """Return the rows at `position` .. `position + count` of the endless run that training draws."""
        if self._balance is not None:
            return self._balance.rows_at(position, count, seed)
        return rows_at(position, count, len(self), seed)

    @property
    def needs_random(self) -> bool:
        """Return whether a batch depends on random numbers, which mirror pictures and choose mismatches."""
        return self._codes is not None or self.flip is not False

    def batch(self, rows: np.ndarray, random: np.random.Generator | None = None) -> Batch:
        """Return the pictures in `rows`, flipped and paired with mismatched conditions as `random` decides.

        A picture that cannot be read is replaced, together with its condition (see `_read`). Without `random` the
        pictures are not flipped, and conditions are not paired.
        """
        rows, images = self._read(rows)
        if random is None:
            return Batch(images, take(self.condition, torch.from_numpy(rows)))
        mirrored = torch.from_numpy(self._mirrors(rows) & (random.random(len(rows)) < 0.5))
        images = _mirror(images, mirrored)
        if self._codes is None:
            condition = take(self.condition, torch.from_numpy(rows))
            return Batch(images, _mirror(condition, mirrored) if isinstance(condition, Tensor) else condition)
        said = self._say(rows, random)
        return Batch(images, said, self._misfits(rows, random), self._alone(said))

    def part(self, rows: slice, flip: bool = False, balanced: bool = False) -> Pictures:
        """Return the pictures in `rows` as a set of their own; images are neither copied nor read."""
        images = self.images.part(rows) if isinstance(self.images, Source) else self.images[rows]
        keys = None if self.keys is None else self.keys[rows]
        wordings = None if self.wordings is None else self.wordings[rows]
        return Pictures(images, take(self.condition, rows), keys, flip, wordings, balanced=balanced)

    def all_wordings(self) -> Sequence[Sequence[str]]:
        """Return all captions of each picture. For captioned pictures only."""
        return self.wordings if self.wordings is not None else [[caption] for caption in _captions(self.condition)]

    def get(self, rows: np.ndarray | slice) -> Tensor:
        """Return images as stored, copied: (len(rows), C, H, W) uint8 or points.

        A picture that cannot be read is replaced (see `_read`).
        """
        return self._read(np.arange(len(self))[rows] if isinstance(rows, slice) else rows)[1]

    def _read(self, rows: np.ndarray) -> tuple[np.ndarray, Tensor]:
        """Return rows that can be read, and their images, copied.

        The next picture that can be read replaces one that cannot. So a batch stays a function of its rows.

        Raises:
            UserError: many pictures in succession cannot be read.
        """
        if isinstance(self.images, Tensor):
            return rows, self.images[rows]  # indexing by an array copies, as it does below
        for _ in range(ATTEMPTS):
            try:
                return rows, torch.from_numpy(np.asarray(self.images[rows]))
            except UnreadableError as error:
                warnings.warn(f"replaced in each pass by the next picture, as it cannot be read: {error}", stacklevel=2)
                rows = np.where(np.isin(rows, list(error.reasons)), (rows + 1) % len(self), rows)
                reasons = error
        raise UserError(f"`data` has many pictures in succession that cannot be read: {reasons}")

    def _mirrors(self, rows: np.ndarray) -> np.ndarray:
        """Return a mask of the `rows` that may be mirrored: (len(rows),) bool."""
        return self.flip[rows] if isinstance(self.flip, np.ndarray) else np.full(len(rows), self.flip)

    def _say(self, rows: np.ndarray, random: np.random.Generator) -> Condition:
        """Return the conditions of the pictures in `rows`, in one wording of each."""
        if self.wordings is None:
            return take(self.condition, torch.from_numpy(rows))
        wordings = [self.wordings[row] for row in rows]
        return [said[int(random.integers(len(said)))] for said in wordings]

    def _alone(self, said: Condition) -> Tensor:
        """Return whether only one picture has each of the conditions, (N,) bool."""
        return torch.tensor([one not in self._shared for one in _plain(said)])

    @cached_property
    def _shared(self) -> frozenset[Hashable]:
        """The conditions of several pictures, in any wording."""
        every = self.wordings if self.wordings is not None else ([one] for one in _plain(self.condition))
        pictures = Counter(one for wordings in every for one in dict.fromkeys(wordings))
        return frozenset(one for one, count in pictures.items() if count > 1)

    def _misfits(self, rows: np.ndarray, random: np.random.Generator) -> Condition:
        """Return for each row a condition of another picture that does not fit this one, for any of its wordings."""
        said = self._say(self._others(rows, random), random)
        if self.misfit is not None:
            own = _captions(take(self.condition, torch.from_numpy(rows)))
            return [self.misfit(*pair, random) for pair in zip(own, _captions(said), strict=True)]
        if self.wordings is None or not isinstance(said, list):
            return said
        return [self._unlike(caption, row, random) for caption, row in zip(said, rows, strict=True)]

    def _unlike(self, caption: str, row: int, random: np.random.Generator) -> str:
        """Return `caption`, replaced by another one as long as it also describes the picture in `row`."""
        assert self.wordings is not None
        for _ in range(ATTEMPTS):
            if caption not in self.wordings[row]:
                break
            caption = _captions(self._say(self._others(np.array([row]), random), random))[0]
        return caption

    def _others(self, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return for each row a picture with a different key, or any other picture if all keys are the same."""
        codes = self._codes
        assert codes is not None
        others = random.integers(len(self), size=len(rows))
        for _ in range(ATTEMPTS):
            same = codes[others] == codes[rows]
            if not same.any():
                break
            others[same] = random.integers(len(self), size=int(same.sum()))
        if self.neighbours is not None:
            self.neighbours.replace(others, rows, random)
        for i in np.flatnonzero(codes[others] == codes[rows]):
            different = np.flatnonzero(codes != codes[rows[i]])
            others[i] = random.choice(different) if len(different) else others[i]
        return others


def are_images(condition: Condition) -> TypeGuard[Tensor]:
    """Return whether the condition is an image (N, C, H, W)."""
    return isinstance(condition, Tensor) and condition.dim() == 4


def _mirror(images: Tensor, mirrored: Tensor) -> Tensor:
    """Mirror the images (N, ..., W) that are `mirrored` (N,) left to right, in place, and return them."""
    if mirrored.any():
        images[mirrored] = images[mirrored].flip(-1)
    return images


def _plain(condition: Condition) -> Sequence[Hashable]:
    """Return captions, or classes as Python numbers."""
    return condition.tolist() if isinstance(condition, Tensor) else condition or ()


def _captions(condition: Condition) -> list[str]:
    assert isinstance(condition, list)
    return condition


def _codes(keys: Condition | Sequence[Hashable]) -> np.ndarray:
    """Return a whole number for each key, equal for equal keys."""
    if isinstance(keys, Tensor):
        return keys.numpy()
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys or ()])


def _classes(condition: Condition) -> np.ndarray:
    if not isinstance(condition, Tensor) or condition.dim() != 1:
        raise UserError("`balanced` needs classes, and the data have none: pass data.balanced=false")
    return condition.numpy()
