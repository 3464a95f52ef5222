"""Data parallelism for two players.

Lightning's own strategy wraps the whole module in one DistributedDataParallel. A turn then leaves half of the
parameters without gradients, and it crashes or also sends the other side's gradients. Here nothing is wrapped. Every
process starts from the weights of rank 0. During each turn's last backward pass, the gradients of the side in turn are
averaged (`ganlab.core.reducer`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import nn
from torch.distributed.utils import _sync_module_states  # type: ignore[attr-defined]

from ganlab.core.launcher import Launcher
from ganlab.processes import BUCKET, limit


class TwoPlayerStrategy(DDPStrategy):
    """One process for each device, with gradients averaged for each side. It is used if `trainer.devices` > 1."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(timeout=timedelta(seconds=limit()), **kwargs)

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = Launcher(self.cluster_environment, self.num_processes, self.num_nodes)

    def _setup_model(self, model: nn.Module) -> nn.Module:  # type: ignore[override]
        _sync_module_states(model, dist.group.WORLD, BUCKET, src=0, params_and_buffers_to_ignore=set())  # type: ignore[arg-type]
        return model

    def _register_ddp_hooks(self) -> None:
        """Do nothing: there is no DistributedDataParallel wrapper to register hooks on."""
