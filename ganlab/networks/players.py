"""The parts of a player: its network, and around it a condition encoder, a head, and the layers of the recipe.

Two players of different games then have the same name for the same part. Plain PyTorch.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from math import prod

import torch
from torch import Tensor, nn

from ganlab.networks.architecture import Perturbed
from ganlab.networks.codes import CodedGenerator, CodeReader
from ganlab.networks.conditional import AugmentedGenerator, CodeGenerator, ConditionalDiscriminator
from ganlab.networks.conditioning import ClassEmbedding
from ganlab.networks.encoder import EncoderDecoder
from ganlab.networks.logits import OneLogit, RealismLogit
from ganlab.networks.minibatch import MinibatchDeviation
from ganlab.networks.packing import Packed
from ganlab.networks.scales import Scales
from ganlab.networks.stages import StackedGenerator
from ganlab.networks.text import WordBags, WordTable
from ganlab.perturbations import Perturbation

NETWORK = "network."
ONE_LOGIT, REALISM = re.compile(r"1\.(scales\.\d+\.)?"), r"head.\1realism."
"""The start of the names in `scales.one_logit` of what a head names its realism logit."""
NORMALIZED = ".parametrizations.weight.original"
"""The end of the name of a weight that spectral normalization divides."""


def network_of(player: nn.Module) -> tuple[str, nn.Module]:
    """Return the network inside a player, and the start of its tensors' names in the player."""
    start, network = "", player
    while (name := _inside(network)) is not None:
        start, network = f"{start}{name}.", network.get_submodule(name)
    return start, network


def networks_of(player: nn.Module) -> list[nn.Module]:
    """Return all networks inside a player: those of both stages, an encoder's and a decoder's, or one."""
    _, network = network_of(player)
    if isinstance(network, nn.ModuleDict):
        return [one for each in network.values() for one in networks_of(each)]
    if isinstance(network, StackedGenerator):
        return [network.stage_one.network, network.stage_two.network]
    if isinstance(network, EncoderDecoder):
        return [network.encoder.trunk, network.decoder]
    return networks_of(network.network) if isinstance(network, CodedGenerator) else [network]


def _inside(module: nn.Module) -> str | None:
    if isinstance(module, CodeGenerator):
        return "network"
    if isinstance(module, CodeReader | ConditionalDiscriminator | Perturbed | MinibatchDeviation | Packed):
        return "trunk"
    return "0" if _has_one_logit(module) else None


def _has_one_logit(module: nn.Module) -> bool:
    """Return whether `scales.one_logit` made the module."""
    judges = RealismLogit | OneLogit | Scales
    return isinstance(module, nn.Sequential) and len(module) == 2 and isinstance(module[1], judges)


def inputs_of(role: str, player: nn.Module, shape: Sequence[int], latent_dim: int) -> tuple[Tensor, ...]:
    """Return inputs of a player's network for one picture, on the meta device. role: generator or discriminator.

    A discriminator that sees more than the picture says its `image_shape`.
    """
    _, network = network_of(player)
    if role == "discriminator":
        packs = prod(part.members for part in player.modules() if isinstance(part, Packed))
        seen = getattr(network, "image_shape", (packs * shape[0], *shape[1:]))
        return (torch.empty(1, *seen, device="meta"),)
    if isinstance(player, CodeGenerator) and not isinstance(player, AugmentedGenerator):
        latent_dim += player.encoder.dim
    code = torch.empty(1, latent_dim, device="meta")
    pictures = getattr(network, "draws_from", "code") == "image"
    return (torch.empty(1, *shape, device="meta"), code) if pictures else (code,)


def places(player: nn.Module) -> dict[str, str]:
    """Return the name in the player of each tensor that is learned or averaged, by its place.

    A place starts with `network`, `encoder` or `head`. It does not depend on the layers that a recipe puts around a
    discriminator, nor on spectral normalization. Counters, flags and the state of perturbations have no place: a new
    run begins them anew.
    """
    start, _ = network_of(player)
    passing = {
        f"{where}.{name}"
        for where, part in player.named_modules()
        if isinstance(part, Perturbation)
        for name in part.state_dict()
    }
    state = player.state_dict()
    learned = (name for name, tensor in state.items() if tensor.is_floating_point() and name not in passing)
    return {_place(name, start, player): name for name in learned}


def _place(name: str, start: str, player: nn.Module) -> str:
    if name.endswith(NORMALIZED):
        name = f"{name.removesuffix(NORMALIZED)}.weight"
    if name.startswith(start):
        return NETWORK + name.removeprefix(start)
    return ONE_LOGIT.sub(REALISM, name, count=1) if _has_one_logit(player) else name


def labelled_rows(player: nn.Module, classes: Sequence[str]) -> dict[str, list[Hashable]]:
    """Return what each row of a table stands for, by the table's name in the player: a word or a class."""
    return {
        f"{where}.{table}": labels for where, part in player.named_modules() for table, labels in _tables(part, classes)
    }


def _tables(part: nn.Module, classes: Sequence[str]) -> Iterator[tuple[str, list[Hashable]]]:
    if isinstance(part, ClassEmbedding):
        yield "table.weight", [*classes]
    elif isinstance(part, WordTable):
        yield "own.weight", [None, *part.rows]
    elif isinstance(part, WordBags):
        yield "table.weight", [*part.words]
