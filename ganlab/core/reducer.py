"""The mean of one side's gradients over processes, computed while its backward pass still runs. Plain torch.

DistributedDataParallel does this for one network with one loss. Here each side has a reducer of its own, which is armed
for the last backward pass of that side's turn. So a turn sends the gradients of the side that moves and no others.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganlab.processes import Mean, buckets

FIRST = 2**20  # bytes of the first bucket: small, so that communication starts early; DistributedDataParallel's size


class Reducer:
    """Averages the gradients of parameters over processes, in buckets, from the last layer to the first.

    A bucket is sent as soon as all its gradients are there. Buckets are sent in the same order by every process.
    Parameters without a gradient count as zero, and stay without one. dtype: of their messages; that of the gradients
    if None. Buffers that the forward passes moved, such as batch statistics, are averaged beside them.
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], first: int = FIRST, dtype: torch.dtype | None = None
    ) -> None:
        self.dtype = dtype
        self.buckets = buckets([each for each in reversed(parameters) if each.requires_grad], first)
        self._places = {each: number for number, bucket in enumerate(self.buckets) for each in bucket}
        self._hooks = [each.register_post_accumulate_grad_hook(self._note) for each in self._places]
        self._missing: list[int] = []
        self._moved: list[tuple[Mean, list[Tensor]]] = []
        self._sent: list[Mean] = []
        self._armed = False

    def arm(self, moved: Sequence[Tensor] = ()) -> None:
        """Send the moved buffers, and gradients from now on: the next backward pass is the last one of the turn."""
        self._missing, self._sent, self._armed = [len(bucket) for bucket in self.buckets], [], True
        self._moved = [(Mean(each), each) for each in buckets([one for one in moved if one.is_floating_point()])]

    def finish(self) -> None:
        """Send what is left, wait, and replace each gradient and each moved buffer by its mean over processes."""
        while len(self._sent) < len(self.buckets):
            self._send()
        for bucket, mean in zip(self.buckets, self._sent, strict=True):
            mean.write([each.grad for each in bucket])
        for mean, moved in self._moved:
            mean.write(moved)
        self._sent, self._moved, self._armed = [], [], False

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

    def _send(self) -> None:
        bucket = self.buckets[len(self._sent)]
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in bucket]
        self._sent.append(Mean(gradients, self.dtype))
