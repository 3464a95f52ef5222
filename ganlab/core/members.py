"""The tensors of a network, listed once: for a small network, a walk over its modules takes as long as its layers.

Plain torch. A list is valid as long as the network has the same modules, parameters and names of buffers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Members:
    """The parameters of a network and the places of its buffers.

    Buffers outside the state are constants, and left out.
    """

    def __init__(self, network: nn.Module) -> None:
        self.parameters = list(network.parameters())
        kept = network.state_dict().keys()
        self.buffers = [
            (part, name)
            for where, part in network.named_modules()
            for name, _ in part.named_buffers(recurse=False)
            if f"{where}.{name}".lstrip(".") in kept
        ]

    def gradients(self) -> list[Tensor]:
        """Return the gradients of the parameters that have one."""
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    def drop_gradients(self) -> None:
        """Remove all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def moving(self) -> list[Tensor]:
        """Return the buffers of the modules in training mode."""
        return [getattr(part, name) for part, name in self.buffers if part.training]

    def tensors(self) -> list[Tensor]:
        """Return all parameters and buffers."""
        return [*self.parameters, *(getattr(*place) for place in self.buffers)]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Disable gradients and replace the buffers by copies inside the block: a turn changes one side only.

        The original buffers are set aside rather than copied back, because an earlier graph may still need them
        unchanged.
        """
        trainable = [parameter for parameter in self.parameters if parameter.requires_grad]
        buffers = [(part, name, getattr(part, name)) for part, name in self.buffers]
        for parameter in trainable:
            parameter.requires_grad_(False)
        for (part, name, _), copy in zip(buffers, _copies([buffer for _, _, buffer in buffers]), strict=True):
            setattr(part, name, copy)
        try:
            yield
        finally:
            for parameter in trainable:
                parameter.requires_grad_(True)
            for part, name, buffer in buffers:
                setattr(part, name, buffer)


@torch.no_grad()
def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return copies, made by one operation on a GPU."""
    copies = [torch.empty_like(tensor) for tensor in tensors]
    if copies:
        torch._foreach_copy_(copies, list(tensors))
    return copies
