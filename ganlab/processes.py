"""Communication between the processes of a run: means of tensors, and one value of each process. Plain torch.

Every process of the run must make each of these calls, in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Value = TypeVar("Value")

BUCKET = 25 * 2**20  # bytes in one message, as DistributedDataParallel has it


class PeerLost(ConnectionError):
    """Another process of the run ended or does not answer. The message is one line."""


def limit() -> float:
    """Return the seconds that a process waits for another one: GANLAB_TIMEOUT, or 10 minutes.

    During a measurement by one process the others wait. So the limit must be longer than the longest measurement.
    """
    return float(os.environ.get("GANLAB_TIMEOUT", 600))


def is_lost(error: BaseException) -> bool:
    """Return whether an exchange failed because another process ended or did not answer in time."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "/gloo/" in str(error))


def is_distributed() -> bool:
    """Return whether several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


@torch.no_grad()
def average_across_processes(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor, in place, by its mean over all processes. Do nothing in a single process."""
    if not is_distributed():
        return
    for bucket in _buckets([tensor for tensor in tensors if tensor.is_floating_point()]):
        flat = torch.cat([tensor.flatten() for tensor in bucket]) / dist.get_world_size()
        dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in bucket])  # type: ignore[no-untyped-call]
        torch._foreach_copy_(bucket, [part.view_as(tensor) for part, tensor in zip(parts, bucket, strict=True)])


def _buckets(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    """Yield consecutive tensors of one dtype, in groups of at most about BUCKET bytes."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        size = sum(other.nbytes for other in bucket)
        if bucket and (size + tensor.nbytes > BUCKET or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


def gather_values(value: Value) -> list[Value]:
    """Return this value of every process, in rank order. The value must be picklable."""
    if not is_distributed():
        return [value]
    gathered = [value] * dist.get_world_size()
    dist.all_gather_object(gathered, value)
    return gathered
