"""Drawn pictures as a value: a tensor, one sheet of all of them, and what a notebook displays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ganlab.files.durable import atomic_write
from ganlab.loggers.sheet import grid, png, scatter


@dataclass(frozen=True)
class SampleSheet:
    """Drawn pictures, uint8 (N, C, H, W), or points, float32 (N, D). A notebook displays them on one sheet.

    `captions`: a text under each picture, or empty. NumPy takes a sheet as the array of its images.
    """

    images: Tensor
    captions: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Tensor:
        return self.images[row]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.images)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.images.numpy(), dtype=dtype)

    def __repr__(self) -> str:
        what = "pictures" if self.images.dim() == 4 else "points"
        return f"{len(self)} {what} of {' x '.join(map(str, self.images.shape[1:]))}"

    @cached_property
    def image(self) -> Image.Image:
        """Return one sheet of all pictures with their captions; of points a scatter plot of the first two numbers."""
        if self.images.dim() == 4:
            return grid(self.images, list(self.captions) or None)
        return scatter(self.images[:0], self.images)

    def save(self, path: str | Path) -> Path:
        """Write the sheet as a PNG file, and return its path."""
        return atomic_write(path, png(self.image))

    def _repr_png_(self) -> bytes:
        return png(self.image)
