"""Data parallelism for two players.

Lightning's own strategy wraps the whole module in one DistributedDataParallel. A turn then leaves half of the
parameters without gradients, and it crashes or also sends the other side's gradients. Here nothing is wrapped. Every
process starts from the weights of rank 0. During each turn's last backward pass, the gradients of the side in turn are
averaged (`ganlab.core.reducer`). The states of optimizers may be divided among the processes (`ganlab.core.sharding`),
and also the weights, the gradients and the average (`ganlab.core.lending`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import nn
from torch.distributed.utils import _sync_module_states  # type: ignore[attr-defined]
from torch.optim import Optimizer

from ganlab.core.generative import GenerativeModule
from ganlab.core.launcher import Launcher
from ganlab.core.lending import Lending
from ganlab.core.sharding import ShardedStates
from ganlab.processes import BUCKET, limit


class TwoPlayerStrategy(DDPStrategy):
    """One process for each device, with gradients averaged for each side. It is used if `trainer.devices` > 1."""

    lending = Lending()
    """What lives on one process each: nothing."""

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


class Zero1Strategy(TwoPlayerStrategy):
    """`TwoPlayerStrategy` in which each process keeps the optimizer states of a share of each side's parameters.

    Checkpoints have the states of all, as without sharding. So a run may go on with or without it, on any number of
    processes.
    """

    def setup_optimizers(self, trainer: pl.Trainer) -> None:
        """Make the optimizers, and divide their states."""
        super().setup_optimizers(trainer)
        self._sharded = {id(optimizer): ShardedStates(optimizer) for optimizer in self.optimizers}
        for states in self._sharded.values():
            states.send_after_steps()

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return the state dict with the states of all processes on process 0. Every process must call this."""
        return self._sharded[id(optimizer)].whole_state()

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Load this process's share of the states."""
        shares = [
            self._sharded[id(optimizer)].own_part(state)
            for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True)
        ]
        super().load_optimizer_state_dict({**checkpoint, "optimizer_states": shares})


class FullyShardedStrategy(Zero1Strategy):
    """`TwoPlayerStrategy` in which each layer lives on one process: weights, gradients, optimizer states, average.

    Checkpoints have everything, as without sharding. So a run may go on with or without it, on any number of processes.
    """

    def setup_optimizers(self, trainer: pl.Trainer) -> None:
        """Make the optimizers, and divide their states as the weights will be divided."""
        TwoPlayerStrategy.setup_optimizers(self, trainer)
        module = trainer.lightning_module
        assert isinstance(module, GenerativeModule)
        self.lending = Lending([*map(module.player, module.sides), module.average])
        self._sharded = {id(one): ShardedStates(one, self.lending.owner) for one in self.optimizers}

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Return the whole state, on process 0 as copies in the processor's memory. Every process must call this."""
        with self.lending.whole():
            state = super().lightning_module_state_dict()
            return {name: value.to("cpu", copy=True) for name, value in state.items()} if self.is_global_zero else {}


STRATEGIES: dict[str, type[TwoPlayerStrategy]] = {
    "auto": TwoPlayerStrategy,
    "ddp": TwoPlayerStrategy,
    "zero1": Zero1Strategy,
    "fsdp": FullyShardedStrategy,
}
"""The strategies of several processes, by their names in settings."""
