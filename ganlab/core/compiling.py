"""Compilation of the players' networks by torch.compile, in place: names of weights in checkpoints stay.

Only parts that map tensors to tensors are compiled. Encoders of conditions read captions, and perturbations draw random
numbers, which compiled code would draw differently. torch.compile cannot differentiate a gradient: penalties,
measurements and samples use the networks as they were written (`eagerly`).
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from ganlab.core.generative import GenerativeModule
from ganlab.networks.codes import CodeReader
from ganlab.networks.conditioning import ConditionEncoder
from ganlab.networks.encoder import EncoderDecoder
from ganlab.perturbations import Perturbation

NEVER = (ConditionEncoder, Perturbation)
IN_PARTS = (EncoderDecoder, CodeReader)
"""Networks whose parts a game calls one by one."""


def compile_networks(module: GenerativeModule, how: bool | str) -> None:
    """Compile both players' networks at their first call. how: true, or a mode of torch.compile; false does nothing.

    A generator whose penalties differentiate its own gradient, such as the path length, stays as it is.
    """
    if not how:
        return
    for name, side in module.sides.items():
        if name == "generator" and any(penalty.differentiates for penalty in side.regularizers.values()):
            continue
        for part in _parts(module.player(name)):
            part.compile(mode=None if how is True else how)


def _parts(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the largest parts of a network that are compiled."""
    if isinstance(network, NEVER):
        return
    if isinstance(network, (*IN_PARTS, nn.ModuleDict)) or any(isinstance(part, NEVER) for part in network.modules()):
        for child in network.children():
            yield from _parts(child)
    elif any(True for _ in network.parameters()):
        yield network
