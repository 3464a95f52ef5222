"""Learning-rate schedules that the field uses and torch does not name. Counted in iterations, like everything else."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class ConstantThenLinear(LambdaLR):
    """The full rate for the share `hold` of `end` iterations, then straight down to nothing (as Isola et al. 2017)."""

    def __init__(self, optimizer: Optimizer, end: int, hold: float = 0.5) -> None:
        if end < 1 or not 0 <= hold < 1:
            raise ValueError(f"a schedule needs `end` >= 1 and 0 <= `hold` < 1, got {end} and {hold}")
        super().__init__(optimizer, lambda iteration: min(1.0, max(0.0, (end - iteration) / (end - hold * end))))
