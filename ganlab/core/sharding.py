"""Optimizer states that are divided among processes: ZeRO-1 (Rajbhandari et al. 2020). Plain torch.

Each parameter belongs to one process, which keeps its states and updates it. The optimizer
remains the ordinary one, with all parameters in their groups. So schedules, rates of layers, clipping and the loss
scale work as they do without sharding. torch's optimizers make no state for a parameter without a gradient, which is
what each process makes of those that belong to others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from ganlab.processes import gather_values, own_share, send_from


class Layout(NamedTuple):
    """The shape, strides and dtype of a tensor that another process has."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


def owners(sizes: Sequence[int], world: int) -> list[int]:
    """Return the process that each parameter belongs to. The largest one goes first, each to the lightest process.

    >>> owners([3, 8, 4, 2], 2)
    [1, 0, 1, 1]
    """
    loads = [0] * world
    found = [0] * len(sizes)
    for number in sorted(range(len(sizes)), key=lambda each: -sizes[each]):
        found[number] = loads.index(min(loads))
        loads[found[number]] += sizes[number]
    return found


class ShardedStates:
    """The states of an optimizer, divided among processes. It must not have stepped yet.

    Every process must make an equal one, and step the optimizer at the same times with the same gradients. owner: the
    process of each parameter. By default each process gets about as much.
    """

    def __init__(self, optimizer: Optimizer, owner: Callable[[nn.Parameter], int] | None = None) -> None:
        self.optimizer = optimizer
        self.rank, self._world = own_share()
        self.parameters: list[nn.Parameter] = [each for group in optimizer.param_groups for each in group["params"]]
        sizes = [each.numel() if each.requires_grad else 0 for each in self.parameters]
        self.owners = owners(sizes, self._world) if owner is None else [owner(each) for each in self.parameters]
        pairs = zip(self.parameters, self.owners, strict=True)
        self._foreign = [each for each, own in pairs if own != self.rank]
        for each in self._foreign:
            optimizer.state.pop(each, None)  # some optimizers make states at once
        optimizer.register_step_pre_hook(self._before_step)

    def send_after_steps(self) -> None:
        """Send each parameter to the other processes after each step of the optimizer."""
        pairs = list(zip(self.parameters, self.owners, strict=True))
        self._parts: list[list[Tensor]] = [
            [each for each, own in pairs if own == owner and each.requires_grad] for owner in range(self._world)
        ]
        self.optimizer.register_step_post_hook(self._send_parameters)

    def _before_step(self, _: Optimizer, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Drop the gradients of others' parameters. With a closure, in which Lightning clips, drop them after it."""
        closure = kwargs.get("closure")
        if closure is None:
            self._drop_foreign_gradients()
            return args, kwargs

        def then_dropping() -> Any:
            result = closure()
            self._drop_foreign_gradients()
            return result

        return args, {**kwargs, "closure": then_dropping}

    def _drop_foreign_gradients(self) -> None:
        for parameter in self._foreign:
            parameter.grad = None

    @torch.no_grad()
    def _send_parameters(self, *_: Any) -> None:
        for owner, part in enumerate(self._parts):
            if part:
                send_from(owner, part)

    def whole_state(self) -> dict[str, Any]:
        """Return the optimizer's state dict with the states of all processes, as without sharding.

        Tensors of other processes are on the processor. Every process must call this. It is whole on process 0 only.
        """
        content = self.optimizer.state_dict()
        own: dict[int, dict[str, Any]] = content["state"]
        told = gather_values({number: _described(state) for number, state in own.items()})
        content["state"] = {
            number: {
                name: self._sent(number, value, own.get(number, {}).get(name))
                for name, value in told[owner][number].items()
            }
            for number, owner in enumerate(self.owners)
            if number in told[owner]
        }
        return content

    def _sent(self, number: int, value: Any, own: Any) -> Any:
        """Return one value of a parameter's state. Tensors with dimensions are sent by the process that has them."""
        if not isinstance(value, Layout):
            return value if own is None else own
        device, mine = self.parameters[number].device, self.owners[number] == self.rank
        message = own.contiguous() if mine else torch.empty(value.shape, dtype=value.dtype, device=device)
        dist.broadcast(message, src=self.owners[number])
        if mine or self.rank > 0:
            return own
        return torch.empty_strided(value.shape, value.stride, dtype=value.dtype).copy_(message)

    def own_part(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return a state dict without the states of parameters that belong to other processes."""
        own = {number: state for number, state in content["state"].items() if self.owners[number] == self.rank}
        return {**content, "state": own}


def _described(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parameter's state with layouts in place of its tensors. Scalars stay."""
    return {name: _layout(value) if isinstance(value, Tensor) else value for name, value in state.items()}


def _layout(value: Tensor) -> Tensor | Layout:
    return value.cpu() if value.dim() == 0 else Layout(tuple(value.shape), value.stride(), value.dtype)
