"""Pictures that are read by their numbers. Arrays are the fast case; a `Source` reads, decodes or assembles them.

`Pictures` reads its images through this interface alone, so batches, splits and measurements do not know where
pictures come from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np


class UnreadableError(Exception):
    """Some rows of a source cannot be read. `reasons`: row -> file and reason."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(", ".join(reasons.values()))
        self.reasons = dict(reasons)


class Source(ABC):
    """N pictures, uint8 (C, H, W) each. It is indexed like an array, by rows only. `shape`: (N, C, H, W)."""

    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        return self.get(np.arange(len(self))[rows] if isinstance(rows, slice) else rows)

    @abstractmethod
    def get(self, rows: np.ndarray) -> np.ndarray:
        """Return the pictures in `rows`, (len(rows),) whole numbers, as a new array: uint8 (len(rows), C, H, W).

        The same rows give the same pictures, in any process.

        Raises:
            UnreadableError: pictures in some of the rows cannot be read.
        """

    def part(self, rows: slice) -> Source:
        """Return the pictures in `rows`, whose step is 1, as a source of their own. Nothing is read."""
        start, stop, _ = rows.indices(len(self))
        return Part(self, start, max(start, stop))


class Part(Source):
    """The pictures `start` .. `stop` of another source."""

    def __init__(self, whole: Source, start: int, stop: int) -> None:
        self.whole, self.start = whole, start
        self.shape = (stop - start, *whole.shape[1:])

    def get(self, rows: np.ndarray) -> np.ndarray:
        """Return the pictures in `rows`, as `Source.get` does."""
        try:
            return self.whole.get(np.asarray(rows) + self.start)
        except UnreadableError as error:
            raise UnreadableError({row - self.start: why for row, why in error.reasons.items()}) from error
