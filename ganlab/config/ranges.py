"""The range of a number, written beside its parameter: `turns: PositiveInt = 1`.

`ganlab.config` reads the annotation from the source, before torch is loaded. `config.building.build` checks the same
ranges for Python callers. NaN, infinity and whole numbers beyond 64 bits are in no range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal


@dataclass(frozen=True)
class Range:
    """Numbers from `least` to `most`, both included, or between `above` and `below`, both excluded.

    >>> 0 in Range(least=0, below=1), 1 in Range(least=0, below=1), float("nan") in Range()
    (True, False, False)
    """

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    multiple: int = 1

    def __contains__(self, value: Any) -> bool:
        if not isinstance(value, int | float) or not math.isfinite(value):
            return False
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return False
        within = self.least <= value <= self.most and self.above < value < self.below
        return within and (self.multiple == 1 or value % self.multiple == 0)

    def __str__(self) -> str:
        """Return the range in words that follow `a number`.

        >>> print(Range(least=1), Range(above=0, most=1), Range(least=2, most=8, multiple=2), sep="; ")
        of at least 1; above 0 and at most 1; from 2 to 8, a multiple of 2
        """
        limits = {"of at least": self.least, "above": self.above, "at most": self.most, "under": self.below}
        words = " and ".join(f"{word} {limit:,}" for word, limit in limits.items() if math.isfinite(limit))
        if math.isfinite(self.least) and math.isfinite(self.most):
            words = f"from {self.least:,} to {self.most:,}"
        return f"{words}, a multiple of {self.multiple}" if self.multiple > 1 else words


@dataclass(frozen=True)
class Square:
    """Shapes (channels, side, side) with one of the listed sides.

    >>> (3, 64, 64) in Square(32, 64), (3, 48, 48) in Square(32, 64), (2,) in Square(32, 64)
    (True, False, False)
    """

    sides: tuple[int, ...]

    def __init__(self, *sides: int) -> None:
        object.__setattr__(self, "sides", sides)

    def __contains__(self, shape: Sequence[int]) -> bool:
        return len(shape) == 3 and shape[1] == shape[2] and shape[1] in self.sides

    def __str__(self) -> str:
        return f"square with a side of {', '.join(map(str, self.sides))}"


PositiveInt = Annotated[int, Range(least=1)]
NonNegativeInt = Annotated[int, Range(least=0)]
Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(least=0)]
Fraction = Annotated[float, Range(least=0, most=1)]
ProperFraction = Annotated[float, Range(least=0, below=1)]  # of a whole, of which something must be left
Truncation = Annotated[float, Range(least=0, most=2)]  # 1 for none; more than 1 moves away from the mean
Probability = Annotated[float, Range(above=0, below=1)]
LayerDecay = Annotated[float, Range(above=0, most=1)]

Seed = Annotated[int, Range(least=0, most=4_294_967_295)]  # what NumPy takes, too
BatchSize = Annotated[int, Range(least=1, most=1_000_000)]  # preflight.py compares it with the memory
Turns = Annotated[int, Range(least=1, most=1_000)]
Dim = Annotated[int, Range(least=1, most=65_536)]
Width = Annotated[int, Range(least=1, most=8_192)]
EvenWidth = Annotated[int, Range(least=2, most=8_192, multiple=2)]  # of networks that read in both directions
Pack = Annotated[int, Range(least=1, most=1_024)]  # samples that are judged together
Depth = Annotated[int, Range(least=1, most=1_000)]
Group = Literal[0] | Annotated[int, Range(least=2, most=65_536)]  # of samples that are compared; 0 for none
Side = Annotated[int, Range(least=8, most=1_024)]  # below 8 nothing is recognized; no network here reaches 1,024
Size = Side | tuple[Side, Side]  # of a square, or height and width
ImageShape = Annotated[Sequence[int], Square(16, 32, 64, 128, 256)]  # halved to 4 x 4
LargeImageShape = Annotated[Sequence[int], Square(64, 128, 256)]  # four times as large as another
Channels = Literal[1, 3]  # grey, color
Workers = Annotated[int, Range(least=0, most=512)]
Count = Annotated[int, Range(least=1, most=100_000_000)]  # of pictures or points that are drawn
SampleCount = Annotated[int, Range(least=1, most=1_000_000)]  # of generated pictures that are shown or measured


def sides(size: int | Sequence[int]) -> tuple[int, int]:
    """Return height and width in pixels of a `Size`.

    >>> sides(64), sides([64, 96])
    ((64, 64), (64, 96))
    """
    height, width = (size, size) if isinstance(size, int) else size
    return height, width
