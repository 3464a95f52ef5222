"""A finite set of pictures held in memory (or memory mapped), with what each one shows.

Every image data set ends up as one of these: one uint8 array, decoded and resized once. Nothing here reads files.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ganlab.batch import Batch, Condition, take

ATTEMPTS = 16  # redraws of a mismatched partner before looking at all of them


@dataclass
class Pictures:
    """N pictures.

    `images`: uint8 (N, C, H, W), an array, a memory map or a tensor; points are float32 (N, D).
    `condition`: N captions, classes (N,) int64, or nothing.
    `keys`: what each picture shows; two pictures with the same key fit each other's condition, so neither is a
    mismatch for the other. Defaults to the condition itself.
    `flip`: mirror every second picture, drawn at random, left to right; or (N,) bool, which ones may be mirrored.
    """

    images: np.ndarray | Tensor
    condition: Condition = None
    keys: Sequence[Hashable] | None = None
    flip: bool | np.ndarray = False
    _codes: np.ndarray | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.condition is not None and len(self.condition) != len(self.images):
            raise ValueError(f"{len(self.images)} images but {len(self.condition)} conditions")
        if self.condition is not None:
            keys = self.keys if self.keys is not None else _plain(self.condition)
            numbers: dict[Hashable, int] = {}
            self._codes = np.array([numbers.setdefault(key, len(numbers)) for key in keys])

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.images.shape[1:])

    def batch(self, rows: np.ndarray, random: np.random.Generator) -> Batch:
        """The pictures in `rows`, flipped and paired with mismatched conditions as `random` decides."""
        images = self.get(rows)
        mirrored = torch.from_numpy(self._mirrors(rows) & (random.random(len(rows)) < 0.5))
        if mirrored.any():
            images[mirrored] = images[mirrored].flip(-1)
        mismatched = None if self._codes is None else take(self.condition, self._others(rows, random))
        return Batch(images, take(self.condition, torch.from_numpy(rows)), mismatched)

    def get(self, rows: np.ndarray | slice) -> Tensor:
        """Images as stored, copied out: (len(rows), C, H, W) uint8 or points."""
        if isinstance(self.images, Tensor):
            return self.images[rows].clone()
        return torch.from_numpy(np.array(self.images[rows]))

    def _mirrors(self, rows: np.ndarray) -> np.ndarray:
        """Which of `rows` may be mirrored: (len(rows),) bool."""
        return self.flip[rows] if isinstance(self.flip, np.ndarray) else np.full(len(rows), self.flip)

    def _others(self, rows: np.ndarray, random: np.random.Generator) -> Tensor:
        """For each row a picture with a different key (any other picture when all keys are the same)."""
        codes = self._codes
        assert codes is not None
        others = random.integers(len(self), size=len(rows))
        for _ in range(ATTEMPTS):
            same = codes[others] == codes[rows]
            if not same.any():
                break
            others[same] = random.integers(len(self), size=int(same.sum()))
        for i in np.flatnonzero(codes[others] == codes[rows]):
            different = np.flatnonzero(codes != codes[rows[i]])
            others[i] = random.choice(different) if len(different) else others[i]
        return torch.from_numpy(others)


def _plain(condition: Condition) -> Sequence[Hashable]:
    return condition.tolist() if isinstance(condition, Tensor) else list(condition or [])
