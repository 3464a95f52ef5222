"""A pair of networks, defined before the data's shape is known. Plain PyTorch."""

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
from ganlab.networks.scales import feature_scales
from ganlab.perturbations import Perturbation


class Perturbed(nn.Module):
    """A trunk behind perturbations of all its input images, real or generated, in the turns of both players."""

    def __init__(self, perturbations: Mapping[str, Perturbation], trunk: Any) -> None:
        super().__init__()
        self.perturbations = nn.ModuleDict(copy.deepcopy(dict(perturbations)))  # each trunk has its own state
        self.trunk = trunk
        self.feature_shape = getattr(trunk, "feature_shape", None)
        self.feature_scales = feature_scales(trunk)

    def forward(self, images: Tensor) -> Tensor:
        """Return the trunk's features of perturbed images."""
        seen = images
        for perturbation in self.perturbations.values():
            seen = perturbation(seen)
        return self.trunk(seen.to(images.dtype))  # those that move pixels work in float32


def with_feature_shape(trunk: Any) -> Any:
    """Return the trunk. Raise `UserError` if it has no tuple `feature_shape`."""
    if not isinstance(getattr(trunk, "feature_shape", None), tuple):
        raise UserError(
            f"`network.discriminator` {type(trunk).__name__} must say its `feature_shape`, a tuple (features, height, "
            "width): the shape of what forward makes of one picture, before any logit"
        )
    return trunk


@dataclass(frozen=True)
class _Copies:
    """A constructor that returns copies of a given network, for any shape."""

    network: nn.Module

    def __call__(self, **asked: Any) -> nn.Module:
        return copy.deepcopy(self.network)


@dataclass(frozen=True)
class Architecture:
    """The constructors of the two players' networks. A module may replace a constructor; copies of it are then used.

    generator(shape=, code_dim=): (N, code_dim) -> (N, *shape) in [-1, 1].
    discriminator(shape=): (N, *shape) -> features (N, F, s, s), with an attribute `feature_shape`. For a variant with a
    single question it may instead return one logit an image, (N,) or (N, 1).

    The other settings apply to every discriminator. perturbations: of its input, by name. pack: the number of pictures
    that it judges together (Lin et al. 2018). minibatch_deviation: the group size of the minibatch deviation (Karras et
    al. 2018); 0 for none.
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
        """Return the discriminator for images of this shape, with all layers that the recipe puts around it.

        Raise `UserError` if `features` are needed and it has no `feature_shape`.
        """
        trunk: Any = self.discriminator(shape=(self.pack * shape[0], *shape[1:]))
        if features or self.minibatch_deviation:
            with_feature_shape(trunk)
        if self.minibatch_deviation:
            trunk = MinibatchDeviation(trunk, self.minibatch_deviation)
        if self.pack > 1:
            trunk = Packed(trunk, self.pack)
        return Perturbed(self.perturbations, trunk) if self.perturbations else trunk
