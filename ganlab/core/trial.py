"""Try networks and objectives that a user made, before training: whatever does not fit is one line."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.data.batch import one_a_sample, shape_or_type
from ganlab.errors import UserError
from ganlab.networks.logits import OneLogit
from ganlab.objectives import Objective

COUNT = 2  # pictures of a trial


def check_players(players: Mapping[str, nn.Module], shape: Sequence[int], code_dim: int) -> None:
    """Raise `UserError` if the `generator` or the `discriminator`, if they are given, cannot play.

    A generator maps codes (N, code_dim) to images (N, *shape). A discriminator maps these to one logit each, or to
    features of its `feature_shape`. The networks and the random states stay as they are. A network without memory, on
    the meta device, is not tried.
    """
    players = {side: one for side, one in players.items() if not any(part.is_meta for part in one.parameters())}
    with torch.no_grad(), torch.random.fork_rng(), torch.device("cpu"):
        if generator := players.get("generator"):
            images = _run("generator", generator, torch.randn(COUNT, code_dim), f"latents (N, {code_dim})")
            _check_images(generator, images, shape)
        if discriminator := players.get("discriminator"):
            images = torch.rand(COUNT, *shape) * 2 - 1
            _check_judgement(discriminator, _run("discriminator", discriminator, images, f"images {_words(shape)}"))


def check_trunk(trunk: nn.Module, shape: Sequence[int]) -> None:
    """Raise `UserError` if a trunk on the meta device does not return features of its `feature_shape`.

    A trunk that does not run on the meta device is not tried.
    """
    try:
        with torch.no_grad(), torch.device("meta"):
            features = trunk.eval()(torch.empty(COUNT, *shape))
    except Exception:  # of the user's code, which training shows with its traceback
        return
    _check_features(trunk, features)


def check_objective(objective: Objective) -> None:
    """Raise `UserError` if a loss is not one number a sample, or if the divergence is not one number."""
    name = type(objective).__name__
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        real, fake = torch.zeros(COUNT), torch.zeros(COUNT)
        one_a_sample(objective.discriminator(real, fake), f"the result of `{name}.discriminator`")
        one_a_sample(objective.generator(fake, real), f"the result of `{name}.generator`")
        divergence = objective.divergence(real, fake)
    if not isinstance(divergence, Tensor) or divergence.dim() != 0:
        raise UserError(
            f"the result of `{name}.divergence` must be a tensor with one number, of shape (), got "
            f"{shape_or_type(divergence)}"
        )


def _run(side: str, network: nn.Module, inputs: Tensor, what: str) -> Any:
    """Return the output of a copy of the network. Turn its error into one line."""
    first = next((parameter for parameter in network.parameters()), torch.empty(0))
    try:
        return copy.deepcopy(network).eval()(inputs.to(first.device, first.dtype))
    except Exception as error:  # it is the user's code
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"`{side}` {_name(network)} fails for {what}: {type(error).__name__}: {reason}") from error


def _check_images(generator: nn.Module, images: Any, shape: Sequence[int]) -> None:
    wanted = f"it must return a tensor {_words(shape)}, the shape of the data"
    if not isinstance(images, Tensor):
        raise UserError(f"`generator` {_name(generator)} gives {shape_or_type(images)}: {wanted}")
    if images.shape != (COUNT, *shape):
        raise UserError(f"`generator` {_name(generator)} gives {_words(images.shape[1:])}: {wanted}")
    _check_finite("generator", generator, images)
    if isinstance(_last(generator), nn.Sigmoid) and len(shape) == 3:
        raise UserError(
            f"`generator` {_name(generator)} ends in Sigmoid, and pictures are in [-1, 1]: end it in nn.Tanh()"
        )


def _check_judgement(discriminator: nn.Module, judgement: Any) -> None:
    if getattr(discriminator, "feature_shape", None) is None:
        judgement = OneLogit(_name(discriminator))(judgement)
    else:
        _check_features(discriminator, judgement)
    _check_finite("discriminator", discriminator, judgement)
    if isinstance(_last(discriminator), nn.Sigmoid):
        raise UserError(
            f"`discriminator` {_name(discriminator)} ends in Sigmoid, and ganlab's objectives take logits: leave it out"
        )


def _check_features(trunk: Any, features: Any) -> None:
    if not isinstance(features, Tensor) or tuple(features.shape[1:]) != tuple(trunk.feature_shape):
        found = _words(features.shape[1:]) if isinstance(features, Tensor) else shape_or_type(features)
        raise UserError(
            f"`discriminator` {_name(trunk)} gives {found}: its `feature_shape` says {_words(trunk.feature_shape)}"
        )


def _check_finite(side: str, network: nn.Module, output: Tensor) -> None:
    if not output.isfinite().all():
        raise UserError(f"`{side}` {_name(network)} gives NaN or infinite values: check how its weights start")


def _last(network: nn.Module) -> nn.Module:
    """Return the last layer of a network, in the order of definition."""
    return [part for part in network.modules() if not list(part.children())][-1]


def _name(network: nn.Module) -> str:
    return type(network).__name__


def _words(shape: Sequence[int]) -> str:
    return f"(N, {', '.join(map(str, shape))})"
