"""Communication between the processes of a run: means of tensors, and one value of each process. Plain torch.

Every process of the run must make each of these calls, in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Value = TypeVar("Value")
Sized = TypeVar("Sized", bound=Tensor)

Work = Callable[[slice], Tensor]
"""The values (n, ...) of the items that the slice takes of all items."""
Divide = Callable[[int, Work], Tensor]
"""(count, work) -> the values (count, ...) of `count` items: `alone` or `divided`."""

BUCKET = 25 * 2**20  # bytes in one message, as DistributedDataParallel has it


class Share(NamedTuple):
    """The part of numbered work that one process does: the numbers rank, rank + world, rank + 2 world, ..."""

    rank: int = 0
    world: int = 1


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


def average_across_processes(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor, in place, by its mean over all processes. Do nothing in a single process."""
    if not is_distributed():
        return
    with torch.no_grad():
        for bucket in buckets([tensor for tensor in tensors if tensor.is_floating_point()]):
            Mean(bucket).write(bucket)


class Mean:
    """The mean of tensors of one dtype over all processes, in one message that is on its way when this is made."""

    @torch.no_grad()
    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._sizes = [tensor.numel() for tensor in tensors]
        self._flat = torch.cat([tensor.flatten() for tensor in tensors]).div_(dist.get_world_size())
        self._work: Any = dist.all_reduce(self._flat, async_op=True)

    def write(self, tensors: Sequence[Tensor]) -> None:
        """Wait, and replace the tensors, in place, by their means."""
        self._work.wait()
        parts = self._flat.split(self._sizes)  # type: ignore[no-untyped-call]
        torch._foreach_copy_(list(tensors), [part.view_as(one) for one, part in zip(tensors, parts, strict=True)])


@torch.no_grad()
def send_from(owner: int, tensors: Sequence[Tensor]) -> None:
    """Replace the tensors, in place, by those of the process `owner`. They must fill their memory without gaps.

    A graph that needs the tensors stays valid: `data` has a version of its own.

    `torch.distributed._broadcast_coalesced` fails with a single kernel of 1 x 1 pixels in `channels_last`.
    """
    for group in buckets([tensor.data for tensor in tensors]):
        lines = [one.as_strided((one.numel(),), (1,)) for one in group]  # the numbers as they lie in memory
        message = lines[0] if len(lines) == 1 else torch.cat(lines)
        dist.broadcast(message, src=owner)
        if len(lines) > 1 and dist.get_rank() != owner:
            parts = message.split([len(line) for line in lines])  # type: ignore[no-untyped-call]
            torch._foreach_copy_(lines, list(parts))


def buckets(tensors: Sequence[Sized], first: int | None = None) -> list[list[Sized]]:
    """Return consecutive tensors of one dtype in groups. A group is full with BUCKET bytes, or `first` the first one.

    A full group is not divided. DistributedDataParallel groups gradients in the same way.
    """
    found: list[list[Sized]] = []
    room = 0
    for tensor in tensors:
        if room <= 0 or tensor.dtype != found[-1][0].dtype:
            room = BUCKET if found or first is None else first
            found.append([])
        found[-1].append(tensor)
        room -= tensor.nbytes
    return found


def own_share() -> Share:
    """Return the share of this process in work that all processes of the run divide."""
    return Share(dist.get_rank(), dist.get_world_size()) if is_distributed() else Share()


def together(work: Callable[[], Value]) -> Value:
    """Return the result of work that every process does. If it fails on one, raise on every process.

    Raises:
        Exception: the error of this process's work, else a RuntimeError with that of the first process that failed.
    """
    errors: list[Exception] = []
    try:
        found = work()
    except Exception as error:
        errors.append(error)
    told = gather_values([f"{type(error).__name__}: {error}" for error in errors])
    if errors:
        raise errors[0]
    for rank, lines in enumerate(told):
        if lines:
            raise RuntimeError(f"process {rank}: {lines[0]}")
    return found


def alone(count: int, work: Work) -> Tensor:
    """Return the values (count, ...) of all items."""
    return work(slice(count))


def divided(count: int, work: Work) -> Tensor:
    """Return the values (count, ...) of all items, of which each process computes a part. Every process must call this.

    Raises:
        Exception: on every process, if the work fails on one. See `together`.
    """
    rank, world = own_share()
    parts = gather_values(together(lambda: work(slice(rank, count, world)).cpu()))
    found = torch.empty(count, *parts[0].shape[1:], dtype=parts[0].dtype)
    for first, part in enumerate(parts):
        found[first::world] = part
    return found


def gather_values(value: Value) -> list[Value]:
    """Return this value of every process, in rank order. The value must be picklable."""
    if not is_distributed():
        return [value]
    gathered = [value] * dist.get_world_size()
    dist.all_gather_object(gathered, value)
    return gathered
