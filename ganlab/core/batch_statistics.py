"""Batch normalization over several processes. Plain torch.

With `trainer.sync_batchnorm=true` Lightning replaces each batch normalization by torch's SyncBatchNorm, whose forward
pass in training waits for all processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def local_statistics(network: nn.Module) -> Iterator[None]:
    """Normalize by the batch of this process alone inside the block, in which the other processes take no part."""
    layers = [part for part in network.modules() if isinstance(part, nn.SyncBatchNorm)]
    for layer in layers:
        layer.forward = partial(_BatchNorm.forward, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
