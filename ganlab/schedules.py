"""Learning-rate schedules that the field uses and torch does not name. Counted in iterations, like everything else."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class ConstantThenLinear(LambdaLR):
    """The full rate until iteration `start`, then straight down to nothing at `end` (as Isola et al. 2017)."""

    def __init__(self, optimizer: Optimizer, start: int, end: int) -> None:
        if not 0 <= start < end:
            raise ValueError(f"a schedule needs 0 <= `start` < `end`, got {start} and {end}")
        super().__init__(optimizer, lambda iteration: min(1.0, max(0.0, (end - iteration) / (end - start))))
