"""Numbers that change during training: learning rates, and settings given as a `Schedule`.

Each is a function of the iteration (or of the images seen) alone, so a resumed run may use other lengths.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ganlab.config.ranges import NonNegativeInt, PositiveInt, ProperFraction
from ganlab.errors import UserError


def constant_then_linear(iteration: int, end: int, hold: float) -> float:
    """Return the factor of the rate at this iteration: 1 until hold * end, then linear to 0 at `end`.

    >>> [constant_then_linear(iteration, 4, 0.5) for iteration in range(6)]
    [1.0, 1.0, 1.0, 0.5, 0.0, 0.0]
    """
    return min(1.0, max(0.0, (end - iteration) / (end - hold * end)))


class ConstantThenLinear(LambdaLR):
    """A constant rate for the share `hold` of `end` iterations, then linear decay to 0 (as Isola et al. 2017)."""

    def __init__(self, optimizer: Optimizer, end: PositiveInt, hold: ProperFraction = 0.5) -> None:
        if end < 1 or not 0 <= hold < 1:
            raise UserError(f"a schedule needs `end` >= 1 and 0 <= `hold` < 1, got {end} and {hold}")
        super().__init__(optimizer, lambda iteration: constant_then_linear(iteration, end, hold))


class PerStage(LambdaLR):
    """`ConstantThenLinear` for each stage. ends: the last iteration of each stage, counted from the start of the run.

    A stage whose end is not after the end of the stage before is skipped.
    """

    def __init__(self, optimizer: Optimizer, ends: Sequence[NonNegativeInt], hold: ProperFraction = 0.5) -> None:
        if max(ends, default=0) < 1 or not 0 <= hold < 1:
            raise UserError(
                f"`ends` must be the iterations at which each stage ends, one of them at least 1, and 0 <= `hold` < 1, "
                f"got {list(ends)} and {hold}"
            )
        super().__init__(optimizer, lambda iteration: per_stage(iteration, ends, hold))


def per_stage(iteration: int, ends: Sequence[int], hold: float) -> float:
    """Return the factor of the rate at this iteration of a run of several stages; 0 after the last.

    >>> [per_stage(iteration, [0, 2, 5], 0.0) for iteration in range(6)]
    [1.0, 0.5, 1.0, 0.6666666666666666, 0.3333333333333333, 0.0]
    """
    for start, end in pairwise((0, *ends)):
        if iteration < end:
            return constant_then_linear(iteration - start, end - start, hold)
    return 0.0


class Schedule(ABC):
    """A number that is a function of the progress of the run."""

    @abstractmethod
    def __call__(self, at: float) -> float:
        """Return the number at this iteration, or after this many images; the setting determines the unit."""


class HalfCosine(Schedule):
    """A number that goes from `start` to `final` along half a cosine over the share `over` of `end`, then is constant.

    Huang et al. 2024 (R3GAN), appendix D, schedule the rate, Adam's second beta, gamma and the augmentation like this.

    >>> [HalfCosine(start=2, final=0, end=8, over=0.5)(iteration) for iteration in (0, 2, 4, 8)]
    [2.0, 1.0, 0.0, 0.0]
    """

    def __init__(self, start: float, final: float, end: int, over: float = 1.0) -> None:
        if end < 1 or not 0 < over <= 1:
            raise UserError(f"a schedule needs `end` >= 1 and 0 < `over` <= 1, got {end} and {over}")
        self.start, self.final, self.length = start, final, end * over

    def __call__(self, at: float) -> float:
        """Return the number at this iteration, or after this many images."""
        share = (1 + math.cos(math.pi * min(1.0, at / self.length))) / 2
        return self.final + (self.start - self.final) * share


def value(number: float | Schedule, at: float) -> float:
    """Return a number, or the value of a schedule, at this iteration or after this many images."""
    return number(at) if isinstance(number, Schedule) else number


class Annealed(LambdaLR):
    """`rate` times the optimizer's rate and, if given, `beta2` as Adam's second beta. Both are schedules."""

    def __init__(self, optimizer: Optimizer, rate: Schedule, beta2: Schedule | None = None) -> None:
        self.beta2 = beta2
        super().__init__(optimizer, lambda iteration: rate(iteration))  # a function, which the state leaves out

    def state_dict(self) -> dict[str, Any]:
        """Return plain values only. A resumed run takes its schedules from its recipe."""
        return {key: kept for key, kept in super().state_dict().items() if key != "beta2"}

    def get_lr(self) -> list[float | Tensor]:
        """Return the rates of this iteration, and set the betas."""
        if self.beta2 is not None:
            for group in self.optimizer.param_groups:
                group["betas"] = (group["betas"][0], self.beta2(self.last_epoch))
        return super().get_lr()
