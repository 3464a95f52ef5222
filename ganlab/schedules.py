"""Learning-rate schedules that the field uses and torch does not name. Counted in iterations, like everything else.

The rate is a function of the iteration alone, so that a resumed run may be given other lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ganlab.errors import UserError
from ganlab.ranges import NonNegativeInt, PositiveInt, ProperFraction


def constant_then_linear(iteration: int, end: int, hold: float) -> float:
    """The share of the full rate at this iteration: 1 until hold * end, then straight down to 0 at `end`.

    >>> [constant_then_linear(iteration, 4, 0.5) for iteration in range(6)]
    [1.0, 1.0, 1.0, 0.5, 0.0, 0.0]
    """
    return min(1.0, max(0.0, (end - iteration) / (end - hold * end)))


class ConstantThenLinear(LambdaLR):
    """The full rate for the share `hold` of `end` iterations, then straight down to nothing (as Isola et al. 2017)."""

    def __init__(self, optimizer: Optimizer, end: PositiveInt, hold: ProperFraction = 0.5) -> None:
        if end < 1 or not 0 <= hold < 1:
            raise UserError(f"a schedule needs `end` >= 1 and 0 <= `hold` < 1, got {end} and {hold}")
        super().__init__(optimizer, lambda iteration: constant_then_linear(iteration, end, hold))


class PerStage(LambdaLR):
    """`ConstantThenLinear` anew for each stage: `ends` are the iterations at which they end, counted from the first.

    A stage that does not end after the one before it is not played.
    """

    def __init__(self, optimizer: Optimizer, ends: Sequence[NonNegativeInt], hold: ProperFraction = 0.5) -> None:
        if max(ends, default=0) < 1 or not 0 <= hold < 1:
            raise UserError(
                f"`ends` must be the iterations at which each stage ends, one of them at least 1, and 0 <= `hold` < 1, "
                f"got {list(ends)} and {hold}"
            )
        super().__init__(optimizer, lambda iteration: per_stage(iteration, ends, hold))


def per_stage(iteration: int, ends: Sequence[int], hold: float) -> float:
    """The share of the full rate at this iteration of a run of several stages; 0 after the last.

    >>> [per_stage(iteration, [0, 2, 5], 0.0) for iteration in range(6)]
    [1.0, 0.5, 1.0, 0.6666666666666666, 0.3333333333333333, 0.0]
    """
    for start, end in pairwise((0, *ends)):
        if iteration < end:
            return constant_then_linear(iteration - start, end - start, hold)
    return 0.0
