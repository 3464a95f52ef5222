"""A pair of networks that play against each other, before the data has said what shape they need. Plain PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ganlab.config.ranges import Group, Pack
from ganlab.errors import UserError
from ganlab.networks.minibatch import MinibatchDeviation
from ganlab.networks.packing import Packed
from ganlab.perturbations import Perturbation


class Perturbed(nn.Module):
    """A trunk that sees every picture through perturbations, real or generated, whoever's turn it is."""

    def __init__(self, perturbations: Mapping[str, Perturbation], trunk: Any) -> None:
        super().__init__()
        self.perturbations = nn.ModuleDict(copy.deepcopy(dict(perturbations)))  # each trunk has its own state
        self.trunk = trunk
        self.feature_shape = getattr(trunk, "feature_shape", None)

    def forward(self, images: Tensor) -> Tensor:
        """Return the trunk's features of perturbed images."""
        seen = images
        for perturbation in self.perturbations.values():
            seen = perturbation(seen)
        return self.trunk(seen.to(images.dtype))  # those that move pixels work in float32


def with_feature_shape(trunk: Any) -> Any:
    """Return the trunk. Raise `UserError` if it does not say what its features are."""
    if not isinstance(getattr(trunk, "feature_shape", None), tuple):
        raise UserError(
            f"`network.discriminator` {type(trunk).__name__} must say its `feature_shape`, a tuple (features, height, "
            "width): the shape of what forward makes of one picture, before any logit"
        )
    return trunk


@dataclass(frozen=True)
class _Copies:
    """Stand for a constructor: copies of a network that was given ready-made, whatever shape is asked for."""

    network: nn.Module

    def __call__(self, **asked: Any) -> nn.Module:
        return copy.deepcopy(self.network)


@dataclass(frozen=True)
class Architecture:
    """How to make the two players' networks. In place of a constructor a module may be given; copies of it then play.

    `generator(shape=, code_dim=)`: (N, code_dim) -> (N, *shape) in [-1, 1].
    `discriminator(shape=)`: (N, *shape) -> features (N, F, s, s), and it says its `feature_shape`; or, for a variant
    that asks one question only, one logit an image, (N,) or (N, 1).
    What the recipe says of any discriminator: `perturbations` of what it sees, by name; how many pictures it judges
    together (`pack`, Lin et al. 2018); over how many it sees the deviation (`minibatch_deviation`, Karras et al. 2018;
    0 leaves that out).
    """

    generator: Callable[..., nn.Module]
    discriminator: Callable[..., nn.Module]
    perturbations: Mapping[str, Perturbation] = field(default_factory=dict)
    pack: Pack = 1
    minibatch_deviation: Group = 0

    def __post_init__(self) -> None:
        for name in ("generator", "discriminator"):
            if isinstance(network := getattr(self, name), nn.Module):
                object.__setattr__(self, name, _Copies(network))

    def trunk(self, shape: Sequence[int], features: bool = True) -> Any:
        """Return the discriminator for images of this shape, with all that the recipe puts around it.

        Raise `UserError` if `features` are needed and it does not say its `feature_shape`.
        """
        trunk: Any = self.discriminator(shape=(self.pack * shape[0], *shape[1:]))
        if features or self.minibatch_deviation:
            with_feature_shape(trunk)
        if self.minibatch_deviation:
            trunk = MinibatchDeviation(trunk, self.minibatch_deviation)
        if self.pack > 1:
            trunk = Packed(trunk, self.pack)
        return Perturbed(self.perturbations, trunk) if self.perturbations else trunk
