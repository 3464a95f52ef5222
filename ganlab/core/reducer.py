"""The mean of one side's gradients over processes, computed while its backward pass still runs. Plain torch.

DistributedDataParallel does this for one network with one loss. Here each side has a reducer of its own, which is armed
for the last backward pass of that side's turn. So a turn sends the gradients of the side that moves and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, groupby
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ganlab.processes import Mean, buckets

FIRST = 2**20  # bytes of the first bucket: small, so that communication starts early; DistributedDataParallel's size


class Bucket:
    """The gradients of some parameters of one dtype, which are sent together.

    They are copied into one flat tensor, and are parts of it from then on. So nothing is copied back, as with
    DistributedDataParallel's `gradient_as_bucket_view`. dtype: of the message; that of the gradients if None.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], dtype: torch.dtype | None) -> None:
        self.parameters = parameters
        self.dtype = dtype or parameters[0].dtype
        self.missing = 0  # gradients that are not complete yet, if the reducer is armed
        self._moved: list[Tensor] = []
        self._lay_out([])

    def carry(self, moved: list[Tensor]) -> None:
        """Average these tensors, whose dtype is that of the message, beside the next gradients."""
        if [each.shape for each in moved] != [each.shape for each in self._moved]:
            self._lay_out(moved)
        self._moved = moved

    @torch.no_grad()
    def send(self) -> None:
        """Start to average. A parameter without a gradient counts as zero, and stays without one."""
        pairs = [(each, view) for each, view in zip(self.parameters, self._views, strict=True) if each.grad is not None]
        if len(pairs) < len(self.parameters):
            self._flat.zero_()
        own: list[Any] = [each.grad for each, _ in pairs]
        if own or self._moved:
            torch._foreach_copy_([view for _, view in pairs] + self._places, own + self._moved)
        for each, view in pairs:
            each.grad = view
        self._message = self._flat.div_(dist.get_world_size()).to(self.dtype)
        self._work: Any = dist.all_reduce(self._message, async_op=True)

    @torch.no_grad()
    def receive(self) -> None:
        """Wait until the gradients are the means, and replace the moved tensors by theirs."""
        self._work.wait()
        if self._message is not self._flat:
            self._flat.copy_(self._message)
        if self._moved:
            torch._foreach_copy_(self._moved, self._places)

    @torch.no_grad()
    def _lay_out(self, moved: list[Tensor]) -> None:
        """Make the flat tensor, and its views: those of the gradients, and the places of moved tensors."""
        tensors = [*self.parameters, *moved]
        self._flat: Tensor = torch.cat([each.flatten() for each in tensors])
        ends = accumulate(each.numel() for each in tensors)
        views = [
            self._flat.as_strided(each.shape, torch.empty_like(each).stride(), end - each.numel())
            for each, end in zip(tensors, ends, strict=True)
        ]
        self._views: list[Tensor] = views[: len(self.parameters)]
        self._places: list[Tensor] = views[len(self.parameters) :]


class OwnedBucket(Bucket):
    """The gradients of parameters that live on the process `owner`, which alone gets their means.

    The others drop theirs when they are sent. Nothing is kept between two turns.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], dtype: torch.dtype | None, owner: int) -> None:
        self.owner = owner
        self._mean: Mean | None = None
        super().__init__(parameters, dtype)

    def carry(self, moved: list[Tensor]) -> None:
        """Average these tensors, for all processes."""
        self._moved = moved
        self._mean = Mean(moved) if moved else None

    @torch.no_grad()
    def send(self) -> None:
        """Start to average. A parameter without a gradient counts as zero, and stays without one."""
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in self.parameters]
        flat = torch.cat([one.flatten() for one in gradients])
        self._message = flat.div_(dist.get_world_size()).to(self.dtype)
        if dist.get_rank() != self.owner:
            for each in self.parameters:
                each.grad = None
        self._work = dist.reduce(self._message, dst=self.owner, async_op=True)

    @torch.no_grad()
    def receive(self) -> None:
        """Wait until the owner's gradients are the means, and replace the moved tensors by theirs."""
        self._work.wait()
        parts = self._message.split([each.numel() for each in self.parameters])
        for each, part in zip(self.parameters, parts, strict=True):
            if each.grad is not None:
                each.grad.copy_(part.view(each.shape))
        del self._message, self._work  # the work has the message too
        if self._mean is not None:
            self._mean.write(self._moved)

    def _lay_out(self, moved: list[Tensor]) -> None:
        """Do nothing: messages are made when they are sent."""


def shared_buckets(
    parameters: Sequence[nn.Parameter], first: int = FIRST, dtype: torch.dtype | None = None
) -> list[Bucket]:
    """Return the buckets of parameters that every process has, from the last one to the first.

    first: bytes of the first bucket. dtype: of the messages; that of the gradients if None.
    """
    return [Bucket(group, dtype) for group in buckets(_learning(parameters), first)]


def owned_buckets(
    parameters: Sequence[nn.Parameter], owner: Callable[[nn.Parameter], int], dtype: torch.dtype | None = None
) -> list[Bucket]:
    """Return the buckets of parameters that live on one process each, from the last one to the first."""
    runs = [(number, list(run)) for number, run in groupby(_learning(parameters), owner)]
    return [OwnedBucket(group, dtype, number) for number, run in runs for group in buckets(run)]


def _learning(parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    return [each for each in reversed(parameters) if each.requires_grad]


class Reducer:
    """Averages the gradients of parameters over processes, in buckets.

    A bucket is sent as soon as all its gradients are there. Buckets are sent in the same order by every process.
    Parameters without a gradient count as zero, and stay without one. Buffers that the forward passes moved, such as
    batch statistics, are averaged beside them.
    """

    def __init__(self, buckets: Sequence[Bucket]) -> None:
        self.buckets = buckets
        self._hooks = [
            each.register_post_accumulate_grad_hook(self._noting(bucket))
            for bucket in self.buckets
            for each in bucket.parameters
        ]
        self._moved: list[tuple[Mean, list[Tensor]]] = []
        self._sent = 0  # buckets of this turn

    def arm(self, moved: Sequence[Tensor] = ()) -> None:
        """Send gradients from now on, and the moved buffers: the next backward pass is the last one of the turn.

        The first bucket carries the buffers, unless its message is less precise than they are.
        """
        for bucket in self.buckets:
            bucket.missing = len(bucket.parameters)
        floating = [one for one in moved if one.is_floating_point()]
        self.buckets[0].carry([one for one in floating if one.dtype == self.buckets[0].dtype])
        others = [one for one in floating if one.dtype != self.buckets[0].dtype]
        self._moved = [(Mean(each), each) for each in buckets(others)]

    def finish(self) -> None:
        """Send what is left, wait, and replace each gradient and each moved buffer by its mean over processes."""
        for bucket in self.buckets[self._sent :]:
            bucket.send()
        for bucket in self.buckets:
            bucket.receive()
            bucket.missing = 0
        for mean, moved in self._moved:
            mean.write(moved)
        self._sent, self._moved = 0, []

    def remove(self) -> None:
        """Take the hooks off the parameters."""
        for hook in self._hooks:
            hook.remove()

    def _noting(self, bucket: Bucket) -> Callable[[Tensor], None]:
        """Return a hook that counts a complete gradient. Unless the reducer is armed, the count is below zero."""

        def note(_: Tensor) -> None:
            bucket.missing -= 1
            if bucket.missing == 0:
                self._send_complete()

        return note

    def _send_complete(self) -> None:
        """Send the buckets that are complete, up to the first one that is not."""
        while self._sent < len(self.buckets) and self.buckets[self._sent].missing == 0:
            self.buckets[self._sent].send()
            self._sent += 1
