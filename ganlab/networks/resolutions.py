"""The resolution of each layer of a network, and the blocks of layers between two resolutions. Plain PyTorch.

One pass on the meta device shows the maps that each layer gives. So this works for networks of any class, also for
those of a user. It allocates no memory for maps.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganlab.errors import UserError
from ganlab.networks.attention import reading
from ganlab.networks.cost import one_word

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class Block(NamedTuple):
    """Layers whose maps have the same shorter side, in pixels, by their names in the network."""

    side: int
    layers: tuple[str, ...]


def layers(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers of a network with their names: its children, and in place of a container the container's."""
    for name, child in network.named_children():
        if isinstance(child, CONTAINERS):
            yield from layers(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def sides(network: nn.Module, inputs: Sequence[Tensor]) -> dict[str, int]:
    """Return the shorter side of the maps that each layer gives, in the order of the pass.

    A layer that gives no map has that of the nearest container that does. Layers without either are left out. inputs:
    tensors on the meta device. Raise `UserError` if the network does not take them.
    """
    twin = copy.deepcopy(network).to("meta").eval().requires_grad_(False)
    found: dict[str, int] = {}
    hooks = [part.register_forward_hook(_note(name, found)) for name, part in twin.named_modules() if name]
    try:
        with torch.no_grad(), reading(twin, one_word(twin)):
            twin(*inputs)
    except Exception as error:  # a network of any class may raise anything here
        raise UserError(f"the resolutions of {type(network).__name__}'s layers cannot be found out") from error
    finally:
        for hook in hooks:
            hook.remove()
    order = {name: place for place, name in enumerate(found)}
    shown = {name: near for name, _ in layers(network) if (near := _nearest(name, found))}
    return {name: found[near] for name, near in sorted(shown.items(), key=lambda pair: order[pair[1]])}


def _note(name: str, found: dict[str, int]) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, given: Any, result: Any) -> None:
        if isinstance(result, Tensor) and result.dim() == 4:
            found.setdefault(name, min(result.shape[2:]))

    return hook


def _nearest(name: str, found: Mapping[str, int]) -> str:
    """Return the name of a layer that gives a map, or of the nearest module around it that does; "" if none does."""
    while name and name not in found:
        name = name.rpartition(".")[0]
    return name


def blocks(network: nn.Module, inputs: Sequence[Tensor]) -> list[Block]:
    """Return the blocks of a network from its input on: the layers with parameters, grouped by the side of their maps.

    A layer that gives no map, like a mapping network, is in no block.
    """
    found: dict[int, list[str]] = {}
    for name, side in sides(network, inputs).items():
        if any(True for _ in network.get_submodule(name).parameters()):
            found.setdefault(side, []).append(name)
    return [Block(side, tuple(names)) for side, names in found.items()]


def names_by_resolution(network: nn.Module, inputs: Sequence[Tensor]) -> dict[str, str]:
    """Return a name that says the resolution for each layer: `blocks@16.UpBlock.0` for `blocks.1`.

    Networks of one class for pictures of different sizes have the same name for a layer at the same resolution, from
    whichever end the class counts its layers. The number counts layers of one class at one resolution.
    """
    found, seen = {}, Counter[str]()
    for name, side in sides(network, inputs).items():
        place = ".".join(part for part in name.split(".") if not part.isdecimal())
        label = f"{place}@{side}"
        if place != name:
            kind = type(network.get_submodule(name)).__name__.removeprefix("Parametrized")  # as spectral_norm names it
            label = f"{label}.{kind}"
            seen[label] += 1
            label = f"{label}.{seen[label] - 1}"
        found[name] = label
    return found
