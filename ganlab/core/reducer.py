"""The mean of one side's gradients over processes, computed while its backward pass still runs. Plain torch.

DistributedDataParallel does this for one network with one loss. Here each side has a reducer of its own, which is armed
for the last backward pass of that side's turn. So a turn sends the gradients of the side that moves and no others.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ganlab.processes import BUCKET

FIRST = 2**20  # bytes of the first bucket: small, so that communication starts early; DistributedDataParallel's size


class Reducer:
    """Averages the gradients of parameters over processes, in buckets, from the last layer to the first.

    A bucket is sent as soon as all its gradients are there. Buckets are sent in the same order by every process.
    Parameters without a gradient count as zero, and stay without one.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], first: int = FIRST, limit: int = BUCKET) -> None:
        self.buckets = _buckets([each for each in reversed(parameters) if each.requires_grad], first, limit)
        self._places = {each: number for number, bucket in enumerate(self.buckets) for each in bucket}
        self._hooks = [each.register_post_accumulate_grad_hook(self._note) for each in self._places]
        self._missing: list[int] = []
        self._sent: list[tuple[Tensor, dist.Work]] = []
        self._armed = False

    def arm(self) -> None:
        """Send gradients from now on: the next backward pass is the last one of the turn."""
        self._missing, self._sent, self._armed = [len(bucket) for bucket in self.buckets], [], True

    def finish(self) -> None:
        """Send what is left, wait, and replace each gradient by its mean over processes."""
        while len(self._sent) < len(self.buckets):
            self._send()
        for bucket, (flat, work) in zip(self.buckets, self._sent, strict=True):
            work.wait()
            parts = flat.split([each.numel() for each in bucket])  # type: ignore[no-untyped-call]
            pairs = [(each.grad, part.view_as(each)) for each, part in zip(bucket, parts, strict=True)]
            own = [(gradient, mean) for gradient, mean in pairs if gradient is not None]
            if own:
                torch._foreach_copy_([gradient for gradient, _ in own], [mean for _, mean in own])
        self._sent, self._armed = [], False

    def remove(self) -> None:
        """Take the hooks off the parameters."""
        for hook in self._hooks:
            hook.remove()

    def _note(self, parameter: Tensor) -> None:
        """Count a gradient that is complete, and send the buckets that are complete now."""
        if not self._armed:
            return
        self._missing[self._places[parameter]] -= 1  # type: ignore[index]
        while len(self._sent) < len(self.buckets) and self._missing[len(self._sent)] == 0:
            self._send()

    @torch.no_grad()
    def _send(self) -> None:
        bucket = self.buckets[len(self._sent)]
        gradients = [(torch.zeros_like(each) if each.grad is None else each.grad).flatten() for each in bucket]
        flat = torch.cat(gradients) / dist.get_world_size()
        work = dist.all_reduce(flat, async_op=True)
        assert work is not None
        self._sent.append((flat, work))


def _buckets(parameters: Sequence[nn.Parameter], first: int, limit: int) -> list[list[nn.Parameter]]:
    """Return consecutive parameters of one dtype in groups of about `limit` bytes, the first one of about `first`."""
    buckets: list[list[nn.Parameter]] = []
    room = 0
    for each in parameters:
        if not buckets or each.nbytes > room or each.dtype != buckets[-1][0].dtype:
            room = limit if buckets else first
            buckets.append([])
        buckets[-1].append(each)
        room -= each.nbytes
    return buckets
