"""Data parallelism that knows there are two players.

Lightning's own strategy wraps the whole module in one DistributedDataParallel; a turn then leaves half of the
parameters without gradients, and it crashes or sends the other side's gradients too. Here nothing is wrapped: every
process starts from rank 0's weights, and after each turn's backward passes the gradients of the side that moved are
averaged, in few large messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from torch.distributed.utils import _sync_module_states  # type: ignore[attr-defined]

BUCKET = 25 * 2**20  # bytes in one message, as DistributedDataParallel has it


class TwoPlayerStrategy(DDPStrategy):
    """One process a device, gradients averaged side by side. What `trainer.devices` > 1 uses."""

    def _setup_model(self, model: nn.Module) -> nn.Module:  # type: ignore[override]
        _sync_module_states(model, dist.group.WORLD, BUCKET, src=0, params_and_buffers_to_ignore=set())  # type: ignore[arg-type]
        return model

    def _register_ddp_hooks(self) -> None:
        """Communication hooks belong to the wrapper that is not there."""


def is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


@torch.no_grad()
def average_across_processes(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor, in place, by its mean over all processes. Does nothing in a single process."""
    if not is_distributed():
        return
    for bucket in _buckets([tensor for tensor in tensors if tensor.is_floating_point()]):
        flat = torch.cat([tensor.flatten() for tensor in bucket]) / dist.get_world_size()
        dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in bucket])  # type: ignore[no-untyped-call]
        torch._foreach_copy_(bucket, [part.view_as(tensor) for part, tensor in zip(parts, bucket, strict=True)])


def _buckets(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    """Consecutive tensors of one type, in groups of at most about BUCKET bytes."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        size = sum(other.nbytes for other in bucket)
        if bucket and (size + tensor.nbytes > BUCKET or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket
