"""Networks as a user gives them: names, modules, and classes or functions that make modules."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.config.building import build
from ganlab.config.described import is_importable, node_of, path_of
from ganlab.config.recipe import compose
from ganlab.errors import UserError

Network = str | nn.Module | Callable[..., nn.Module] | None
"""The name of an architecture, a module, a class or function that makes one, or None for the recipe's own."""

OURS = ("ganlab", "torch")


def part_of_recipe(network: Network, side: str) -> Any:
    """Return what stands for a network in a recipe: a node if other programs can read it, else an object.

    A class or function that does not take `shape` is called without one. Raise `UserError` for anything else.
    """
    if network is None or isinstance(network, nn.Module):
        return network
    if isinstance(network, str):
        return compose("recipe=vanilla", f"network={network}")["network"][side]
    if not callable(network):
        raise UserError(
            f"`{side}` must be a module, what makes one, or the name of a network, got a {type(network).__name__}"
        )
    takes_shape = "shape" in inspect.signature(network).parameters
    if not _is_readable(network):
        return network if takes_shape else network()
    node = dict(node_of(network) or {})
    return node if takes_shape else {key: value for key, value in node.items() if key != "_partial_"}


def _is_readable(network: Any) -> bool:
    """Return whether other programs can make this constructor from a dotted path and settings."""
    inner = isinstance(network, partial)
    return is_importable(network.func if inner else network) and not (inner and network.args)


def ready(network: Any) -> nn.Module | None:
    """Return a network that does not depend on the data's shape, made if need be. None for any other."""
    if isinstance(network, Mapping) and not network.get("_partial_"):
        with torch.random.fork_rng():
            return build(network)
    return network if isinstance(network, nn.Module) else None


def code_size(generator: nn.Module | None) -> int | None:
    """Return the number of inputs of a module: its `latent_dim`, or that of its first layer. None if it is unknown.

    >>> code_size(nn.Sequential(nn.Flatten(), nn.Linear(7, 2)))
    7
    """
    if generator is None:
        return None
    parts = [generator, *generator.modules()]
    sizes = [getattr(part, name, None) for part in parts for name in ("latent_dim", "in_features", "in_channels")]
    return next((size for size in sizes if isinstance(size, int)), None)


def gives_logits(discriminator: nn.Module | None) -> bool:
    """Return whether a module gives logits itself, and not features for a head."""
    return discriminator is not None and not hasattr(discriminator, "feature_shape")


def limits(networks: Mapping[str, Any], inputs: Mapping[str, Tensor], folder: Path) -> str:
    """Return a line on what other programs need to load a run with these networks, or "" if they need nothing.

    inputs: a few inputs of each network, on which a network that is made anew must give the same outputs.
    """
    modules = {side: one for side, one in networks.items() if isinstance(one, nn.Module)}
    fixed = [side for side, one in modules.items() if not is_rebuilt(one, inputs[side])]
    fixed += [side for side, one in networks.items() if callable(one) and not isinstance(one, nn.Module)]
    if fixed:
        return (
            f"{folder} cannot be loaded by other programs, which cannot make its {' and '.join(fixed)}: pass a class "
            "of a module that you import, or functools.partial of one, in place of an object"
        )
    targets = [one["_target_"] for one in networks.values() if isinstance(one, Mapping)]
    targets += [path_of(type(one)) for one in modules.values()]
    packages = sorted({target.partition(".")[0] for target in targets} - {*OURS})
    names = ",".join(packages)
    return f"{folder} names classes of {names}: pass allow=[{names}] to the commands that read it" if packages else ""


@torch.no_grad()
def is_rebuilt(network: nn.Module, inputs: Tensor) -> bool:
    """Return whether the network's class, called without settings, makes the same network but for the weights."""
    if not is_importable(type(network)):
        return False
    try:
        twin = type(network)()
        twin.load_state_dict(network.state_dict())
        return torch.equal(twin.eval()(inputs), copy.deepcopy(network).eval()(inputs))
    except Exception:  # of the user's code: it cannot be made, or is another one
        return False
