"""Activation checkpointing: recompute the results inside each block in the backward pass (Chen et al. 2016).

Only the inputs of blocks are kept. A block is a layer that consists of layers and has kernels, such as a residual
block, or a run of layers in an `nn.Sequential` with one kernel or matrix among them. Names in checkpoints stay.

The second pass repeats the first one. It begins with the same buffers (batch statistics, vectors of power iterations),
words of captions, frozen parameters and random state. The present ones stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.utils.checkpoint import checkpoint

from ganlab.core.members import Members
from ganlab.errors import UserError
from ganlab.networks.attention import word_layers
from ganlab.networks.players import networks_of


class Recomputed:
    """A function of layers that is called again in the backward pass. Without gradients it is the function itself."""

    def __init__(self, function: Callable[..., Any], layers: Sequence[nn.Module]) -> None:
        self.function = function
        self.places: list[tuple[Any, str]] = []
        for layer in layers:
            self.places += Members(layer).buffers
            self.places += [(part, "words") for part in word_layers(layer)]
            self.places += [(parameter, "requires_grad") for parameter in layer.parameters()]

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():
            return self.function(*inputs, **named)
        return checkpoint(_Pass(self), *inputs, use_reentrant=False, **named)


class _Pass:
    """One pass. Each call after the first begins as the first did."""

    def __init__(self, recomputed: Recomputed) -> None:
        self.function = recomputed.function
        self.start = [(part, name, _copied(getattr(part, name))) for part, name in recomputed.places]
        self.calls = 0

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            return self.function(*inputs, **named)
        with _replaced(self.start):
            return self.function(*inputs, **named)


@contextmanager
def _replaced(values: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    present = [(part, name, getattr(part, name)) for part, name, _ in values]
    for part, name, value in values:
        setattr(part, name, _copied(value))
    try:
        yield
    finally:
        for part, name, value in present:
            setattr(part, name, value)


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def checkpoint_blocks(name: str, player: nn.Module) -> None:
    """Checkpoint the blocks of a player's networks, in place. name: of the side.

    Raise `UserError` if a network has none.
    """
    for network in networks_of(player):
        if not sum(_wrap(child) for child in _outer(network)):
            raise UserError(
                f"`{name}.checkpoint_blocks` needs blocks of layers, and {type(network).__name__} has none: pass false"
            )


def _outer(network: nn.Module) -> list[nn.Module]:
    """Return the layers and sequences of a network."""
    if _is_sequence(network):
        return [network]
    found: list[nn.Module] = []
    for child in network.children():
        found += _outer(child) if isinstance(child, nn.ModuleList | nn.ModuleDict) else [child]
    return found


def _wrap(layer: nn.Module) -> int:
    """Checkpoint the blocks of a layer or a sequence, and return their number."""
    if _is_sequence(layer):
        runs = _runs(list(layer.children()))
        count = sum(len(run) > 1 or _wrap(run[0]) for run in runs)
        layer.forward = partial(_chain, [_recomputed(run) for run in runs])  # type: ignore[method-assign]
        return count
    if _is_leaf(layer) or not any(parameter.dim() > 2 for parameter in layer.parameters()):
        return 0
    layer.forward = Recomputed(layer.forward, [layer])  # type: ignore[method-assign]
    return 1


def _is_sequence(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Sequential) and type(layer).forward is nn.Sequential.forward


def _is_leaf(layer: nn.Module) -> bool:
    return is_parametrized(layer) or not any(True for _ in layer.children())


def _runs(layers: Sequence[nn.Module]) -> list[list[nn.Module]]:
    """Divide layers into runs: a layer that consists of layers is one, others have one kernel or matrix at most."""
    runs: list[list[nn.Module]] = []
    weighted, open_ = False, False
    for layer in layers:
        own = _is_leaf(layer) and any(parameter.dim() > 1 for parameter in layer.parameters())
        if open_ and _is_leaf(layer) and not (own and weighted):
            runs[-1].append(layer)
            weighted = weighted or own
        else:
            runs.append([layer])
            weighted, open_ = own, _is_leaf(layer)
    return runs


def _recomputed(run: list[nn.Module]) -> Callable[[Any], Any]:
    return Recomputed(partial(_chain, run), run) if len(run) > 1 else run[0]


def _chain(functions: Sequence[Callable[[Any], Any]], x: Any) -> Any:
    for function in functions:
        x = function(x)
    return x
