"""Weights that live on one process each, and are lent to the others while a network runs. Plain torch.

This is fully sharded data parallelism: stage 3 of ZeRO (Rajbhandari et al. 2020). A weight is not cut: the parameters
of one layer live on one process, their owner. Before the layer runs, forward or backward, the owner sends them to the
others, which drop them afterwards. Parameters stay ordinary tensors, so penalties may differentiate a gradient,
optimizers step those that live here, and every list of parameters stays valid. A dropped parameter has a storage of 0
bytes, and torch raises an error if something reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.utils._pytree import tree_leaves

from ganlab.core.sharding import owners
from ganlab.core.sides import gradient_norm
from ganlab.processes import own_share, send_from

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict, ParametrizationList)
PLAIN = (bool, int, float, str, type(None))


class Layer:
    """The parameters of one layer, which live on the process `owner`."""

    def __init__(self, parameters: Sequence[nn.Parameter], owner: int) -> None:
        self.parameters = parameters
        self.owner = owner
        self.is_own = owner == own_share().rank
        self.is_here = True
        for each in parameters:
            if each.untyped_storage().nbytes() != each.nbytes:  # a part of something else, which must stay
                each.data = each.data.clone()

    def borrow(self) -> None:
        """Get the parameters, if they are not here. Every process must call this, the owner too."""
        if self.is_here:
            return
        self.is_here = True
        if not self.is_own:
            for each in self.parameters:
                each.untyped_storage().resize_(each.nbytes)
        send_from(self.owner, self.parameters)

    def drop(self) -> None:
        """Free the memory of the parameters, unless they live here."""
        self.is_here = False
        if not self.is_own:
            for each in self.parameters:
                each.untyped_storage().resize_(0)


class Lending:
    """The layers of some networks, each of which lives on one process. Every process must make an equal one.

    Everything is here before `start` and after `stop`. In between, layers are borrowed when they run, so what runs must
    run on every process, in the same order, unless it runs in a block of `whole`.
    """

    def __init__(self, networks: Sequence[nn.Module] = ()) -> None:
        self._of: dict[Tensor, Layer] = {}
        self._parts: list[tuple[nn.Module, list[Layer]]] = []
        self._hooks: list[Any] = []
        self._blocks = 0  # of `whole` that we are in
        self._held = False
        world = own_share().world
        for network in networks:
            parts = list(_layers(network))
            sizes = [sum(each.nbytes for each in own) for _, own in parts]
            for (part, own), owner in zip(parts, owners(sizes, world), strict=True):
                if fresh := [each for each in own if each not in self._of]:  # others are shared with an earlier layer
                    self._of |= dict.fromkeys(fresh, Layer(fresh, owner))
                self._parts.append((part, list(dict.fromkeys(self._of[each] for each in own))))
        self.layers = list(dict.fromkeys(self._of.values()))

    def owner(self, parameter: Tensor) -> int:
        """Return the process on which a parameter lives."""
        return self._of[parameter].owner

    def own(self, tensors: list[Tensor]) -> list[Tensor]:
        """Return the tensors that live on this process: some of the parameters, and all buffers."""
        if not self.layers:
            return tensors
        return [one for one in tensors if (layer := self._of.get(one)) is None or layer.is_own]

    def gradient_norm(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Return the Euclidean norm of the gradients of all processes together. Every process must call this."""
        own = [each.grad for each in parameters if each.grad is not None]
        if not self.layers:
            return gradient_norm(own)
        norms = torch.zeros(len(parameters), device=parameters[0].device)
        places = [place for place, each in enumerate(parameters) if each.grad is not None]
        if own:
            norms[places] = torch.stack(torch._foreach_norm(own)).float()
        dist.all_reduce(norms)
        return norms.norm()

    def start(self) -> None:
        """Drop what lives on other processes, and borrow it when it runs."""
        for part, layers in self._parts:
            self._hooks.append(part.register_forward_pre_hook(self._borrowing(layers), prepend=True))
            self._hooks.append(part.register_forward_hook(self._dropping(layers)))
        self.drop()

    def stop(self) -> None:
        """Get everything, and keep it."""
        self._borrow()
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def hold(self, networks: Iterable[nn.Module]) -> None:
        """Keep all weights here until the next `drop`: a graph that is differentiated twice needs them throughout.

        networks: those of which weights are needed. Layers of others stay here once they have run.
        """
        for network in networks:
            for parameter in network.parameters():
                if parameter in self._of:
                    self._of[parameter].borrow()
        self._held = True

    def drop(self) -> None:
        """Drop all that lives on other processes, unless we are in a block of `whole`."""
        self._held = False
        if not self._blocks:
            for layer in self.layers:
                layer.drop()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Have all weights here inside the block, in which a process may run the networks alone.

        Every process must enter it. All processes must change weights in the same way, or not at all.
        """
        self._borrow()
        self._blocks += 1
        try:
            yield
        finally:
            self._blocks -= 1
            self.drop()

    def _borrow(self) -> None:
        for layer in self.layers:
            layer.borrow()

    def _borrowing(self, layers: Sequence[Layer]) -> Callable[..., None]:
        """Return a hook that borrows layers before their forward pass."""

        def borrow(*_: Any) -> None:
            for layer in layers:
                layer.borrow()

        return borrow

    def _dropping(self, layers: Sequence[Layer]) -> Callable[..., None]:
        """Return a hook that drops layers after their forward pass, and lets the backward pass borrow them again.

        They are dropped again at the end of the turn. A layer with a graph is kept until then if it returns an object
        whose tensors cannot be found.
        """
        borrow = self._borrowing(layers)

        def drop(_: nn.Module, __: Any, output: Any) -> None:
            if self._blocks or self._held:
                return
            found = tree_leaves(output) if torch.is_grad_enabled() else []
            if not all(isinstance(one, (Tensor, *PLAIN)) for one in found):
                return
            if graph := [one for one in found if isinstance(one, Tensor) and one.requires_grad]:
                torch.autograd.graph.register_multi_grad_hook(graph, borrow, mode="any")
            for layer in layers:
                layer.drop()

        return drop


def _layers(network: nn.Module) -> Iterator[tuple[nn.Module, list[nn.Parameter]]]:
    """Yield each layer with its parameters: a module that has some itself, or one of torch's with all inside it."""
    seen: set[nn.Module] = set()
    waiting = [network]
    while waiting:
        part = waiting.pop()
        if part in seen:
            continue
        seen.add(part)
        closed = type(part).__module__.startswith("torch.nn.") and not isinstance(part, CONTAINERS)
        if own := list(part.parameters(recurse=closed)):
            yield part, own
        if not closed:
            waiting.extend(reversed(list(part.children())))
