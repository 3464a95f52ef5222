"""Many short texts in two arrays. They may be memory mapped, and processes share them without copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np


class Texts(Sequence[str]):
    """N texts. A list of a million strings takes 100 MB, and each data worker would copy it by counting references.

    `letters`: all texts in UTF-8, one after another, uint8. `ends`: the end of each text in it, (N,) int64.

    >>> list(Texts.of(["a", "", "bé"]))
    ['a', '', 'bé']
    """

    def __init__(self, letters: np.ndarray, ends: np.ndarray) -> None:
        self.letters, self.ends = letters, ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Return these texts."""
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)[1:]
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        end = int(self.ends[row])
        start = int(self.ends[row - 1]) if row % len(self) else 0
        return self.letters[start:end].tobytes().decode()
