"""What a network costs: its parameters, and the floating-point operations of one picture. Plain PyTorch.

Counted on tensors without memory, so that a network of any size is counted in a second.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ganlab.networks.architecture import Architecture
from ganlab.networks.attention import Words, reading, word_layers


@dataclass(frozen=True)
class Cost:
    """`parameters`: trained numbers. `flop`: of one picture forward; a multiplication and an addition are two."""

    parameters: int
    flop: int

    def __str__(self) -> str:
        return f"{self.parameters / 1e6:.3g} M parameters, {self.flop / 1e9:.3g} GFLOP a picture"


def cost(network: nn.Module, *inputs: Tensor) -> Cost:
    """The cost of a network for one picture's inputs (1, ...). The network itself is left alone."""
    twin = copy.deepcopy(network).to("meta").eval().requires_grad_(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), reading(twin, one_word(twin)):
        twin(*(each.to("meta") for each in inputs))
    parameters = sum(each.numel() for each in network.parameters() if each.requires_grad)
    return Cost(parameters, counter.get_total_flops())


def one_word(network: nn.Module) -> Words:
    """A caption of one word for the network's word attention, if it has some."""
    word_dim = max((layer.word_dim for layer in word_layers(network)), default=1)
    return torch.empty(1, 1, word_dim, device="meta"), torch.empty(1, 1, dtype=torch.bool, device="meta")


def costs(architecture: Architecture, shape: Sequence[int], code_dim: int) -> dict[str, Cost]:
    """The generator's and the trunk's cost for pictures of this shape, heads and encoders of conditions not included.

    A generator that draws from a picture (it has no `code_dim`) is given one of the same shape.
    """
    picture = torch.empty(1, *shape, device="meta")
    with torch.device("meta"):
        if "code_dim" in inspect.signature(architecture.generator).parameters:
            generator: nn.Module = architecture.generator(shape=shape, code_dim=code_dim)
            given = [torch.empty(1, code_dim)]
        else:
            generator = architecture.generator(shape=shape)
            given = [picture, torch.empty(1, int(generator.latent_dim))]  # type: ignore[arg-type]
        trunk = architecture.discriminator(shape=shape)
    return {"generator": cost(generator, *given), "discriminator": cost(trunk, picture)}
