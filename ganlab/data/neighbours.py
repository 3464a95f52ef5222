"""Near misses among named pictures: a red heart is told from a blue one only if captions are confused that are close.

Mismatched captions that are drawn from all pictures differ from a picture's own in nearly everything.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WORD = re.compile(r"[^\s-]{3,}")


@dataclass(frozen=True)
class Neighbours:
    """For each picture, the rows of those whose names share a word with its own.

    share: the part of mismatched partners that is drawn from them.
    """

    rows: Sequence[np.ndarray]
    share: float

    @classmethod
    def of(cls, names: Sequence[str], share: float) -> Neighbours:
        """Return the neighbours by words of at least three letters. Pictures with the same name are none."""
        words = [{*WORD.findall(name.lower())} for name in names]
        having: dict[str, list[int]] = defaultdict(list)
        for row, own in enumerate(words):
            for word in own:
                having[word].append(row)
        near = [
            np.array(sorted({other for word in own for other in having[word] if names[other] != names[row]}), np.int64)
            for row, own in enumerate(words)
        ]
        return cls(near, share)

    def replace(self, others: np.ndarray, rows: np.ndarray, random: np.random.Generator) -> None:
        """Replace the partners `others` of the pictures in `rows` by neighbours in a `share` of the cases, in place."""
        for place, (row, drawn) in enumerate(zip(rows, random.random(len(rows)), strict=True)):
            if drawn < self.share and len(self.rows[row]):
                others[place] = random.choice(self.rows[row])
