"""Data parallelism that knows there are two players.

Lightning's own strategy wraps the whole module in one DistributedDataParallel; a turn then leaves half of the
parameters without gradients, and it crashes or sends the other side's gradients too. Here nothing is wrapped: every
process starts from rank 0's weights, and after each turn's backward passes the gradients of the side that moved are
averaged (`ganlab.processes`).
"""

from __future__ import annotations

import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import nn
from torch.distributed.utils import _sync_module_states  # type: ignore[attr-defined]

from ganlab.processes import BUCKET


class TwoPlayerStrategy(DDPStrategy):
    """One process a device, gradients averaged side by side. What `trainer.devices` > 1 uses."""

    def _setup_model(self, model: nn.Module) -> nn.Module:  # type: ignore[override]
        _sync_module_states(model, dist.group.WORLD, BUCKET, src=0, params_and_buffers_to_ignore=set())  # type: ignore[arg-type]
        return model

    def _register_ddp_hooks(self) -> None:
        """Communication hooks belong to the wrapper that is not there."""
