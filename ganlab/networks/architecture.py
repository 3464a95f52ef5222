"""A pair of networks that play against each other, before the data has said what shape they need. Plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Architecture:
    """How to make the two players' networks.

    `generator(shape=, code_dim=)`: (N, code_dim) -> (N, *shape) in [-1, 1].
    `discriminator(shape=)`: (N, *shape) -> features (N, F, s, s); it says its `feature_shape`.
    """

    generator: Callable[..., nn.Module]
    discriminator: Callable[..., Any]

    def trunk(self, shape: Sequence[int]) -> Any:
        """The discriminator's trunk for pictures of this shape, with all that the recipe puts around it."""
        return self.discriminator(shape=shape)
