"""The cost of a network: its parameters, and the floating-point operations of one picture. Plain PyTorch.

Operations are counted on the meta device, which takes about a second for a network of any size.
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
    """The cost of a network. parameters: trained numbers.

    flop: floating-point operations of one picture's forward pass. A multiplication and an addition are two.
    """

    parameters: int
    flop: int

    def __str__(self) -> str:
        return f"{self.parameters / 1e6:.3g} M parameters, {self.flop / 1e9:.3g} GFLOP a picture"


def cost(network: nn.Module, *inputs: Tensor) -> Cost:
    """Return the cost of a network for one picture's inputs (1, ...). The network itself stays unchanged."""
    twin = copy.deepcopy(network).to("meta").eval().requires_grad_(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), reading(twin, one_word(twin)):
        twin(*(each.to("meta") for each in inputs))
    parameters = sum(each.numel() for each in network.parameters() if each.requires_grad)
    return Cost(parameters, counter.get_total_flops())


def one_word(network: nn.Module) -> Words:
    """Return a caption of one word for the network's word attention, if it has any."""
    word_dim = max((layer.word_dim for layer in word_layers(network)), default=1)
    return torch.empty(1, 1, word_dim, device="meta"), torch.empty(1, 1, dtype=torch.bool, device="meta")


def costs(architecture: Architecture, shape: Sequence[int], code_dim: int) -> dict[str, Cost]:
    """Return the costs of the generator and the trunk for pictures of this shape, without heads and condition encoders.

    A generator without `code_dim` takes a picture of the same shape as input.
    """
    taken = inspect.signature(architecture.generator).parameters.values()
    picture = torch.empty(1, *shape, device="meta")
    with torch.device("meta"):
        if any(one.name == "code_dim" or one.kind is one.VAR_KEYWORD for one in taken):
            generator: nn.Module = architecture.generator(shape=shape, code_dim=code_dim)
            given = [torch.empty(1, code_dim)]
        else:
            generator = architecture.generator(shape=shape)
            given = [picture, torch.empty(1, int(generator.latent_dim))]  # type: ignore[arg-type]
        trunk = architecture.discriminator(shape=shape)
    return {"generator": cost(generator, *given), "discriminator": cost(trunk, picture)}
