"""The depth of a player's layers. Those nearest to its input may be frozen, or learn at smaller rates."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.optim import Optimizer

from ganlab.core.sides import Side
from ganlab.errors import UserError
from ganlab.networks.players import inputs_of, network_of
from ganlab.networks.resolutions import Block, blocks


def blocks_of(name: str, player: nn.Module, shape: Sequence[int], latent_dim: int) -> list[Block]:
    """Return the blocks of a player's network from its input on. name: of the side.

    Raise `UserError` if the network has no blocks that can be told apart.
    """
    _, network = network_of(player)
    try:
        found = blocks(network, inputs_of(name, player, shape, latent_dim))
    except UserError as error:
        raise UserError(f"`{name}.freeze` and `{name}.layer_decay` need blocks of layers, and {error}") from error
    if not found:
        raise UserError(f"`{name}.freeze` and `{name}.layer_decay` need maps, and {type(network).__name__} has none")
    return found


def freeze(name: str, player: nn.Module, side: Side, shape: Sequence[int], latent_dim: int) -> list[nn.Module]:
    """Freeze the layers that `side.freeze` names, and return them. They must stay in evaluation mode.

    FreezeD is a discriminator with its first blocks frozen: Mo et al. 2020. Raise `UserError` if nothing would learn.
    """
    _, network = network_of(player)
    if side.freeze == "trunk":
        frozen = [network]
    elif side.freeze == 0:
        return []
    else:
        found = blocks_of(name, player, shape, latent_dim)
        if side.freeze > len(found):
            pixels = ", ".join(str(block.side) for block in found)
            raise UserError(
                f"`{name}.freeze` must be at most {len(found)}, the blocks of this network (maps of {pixels} pixels), "
                f"got {side.freeze}"
            )
        frozen = [network.get_submodule(layer) for block in found[: side.freeze] for layer in block.layers]
    for layer in frozen:
        layer.requires_grad_(False).eval()
    if not any(parameter.requires_grad for parameter in player.parameters()):
        raise UserError(f"`{name}.freeze`={side.freeze} leaves nothing of the {name} that learns")
    return frozen


def make_optimizer(name: str, player: nn.Module, side: Side, shape: Sequence[int], latent_dim: int) -> Optimizer:
    """Return the side's optimizer. With a `layer_decay` each block is a parameter group with a rate of its own.

    The last block of n learns at `layer_decay` times the rate, the first at `layer_decay` ** n times. Parameters in no
    block (head, condition encoder, mapping network) learn at the rate itself.
    """
    if side.layer_decay == 1:
        return side.optimizer(player.parameters())
    _, network = network_of(player)
    inside = [
        [p for layer in block.layers for p in network.get_submodule(layer).parameters()]
        for block in blocks_of(name, player, shape, latent_dim)
    ]
    known = {id(parameter) for group in inside for parameter in group}
    groups = [[parameter for parameter in player.parameters() if id(parameter) not in known], *reversed(inside)]
    optimizer = side.optimizer([{"params": group} for group in groups])  # type: ignore[misc]
    for power, group in enumerate(optimizer.param_groups):
        group["lr"] *= side.layer_decay**power
    return optimizer
