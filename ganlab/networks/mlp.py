"""Fully connected generator and trunk, for points in the plane and for small images.

Plain PyTorch. There is no normalization, so any objective and any gradient penalty can be used. The networks of the
mode-collapse experiments (Lin et al. 2018) have batch normalization and maxout instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from ganlab.config.ranges import Depth, Width
from ganlab.errors import UserError
from ganlab.networks.blocks import SLOPE


def hidden(inputs: int, width: int, depth: int) -> nn.Sequential:
    """Return `depth` linear layers with leaky rectifiers: (N, inputs) -> (N, width), variance kept (He et al. 2015)."""
    layers: list[nn.Module] = []
    for size in [inputs, *[width] * (depth - 1)]:
        linear = nn.Linear(size, width)
        nn.init.kaiming_normal_(linear.weight, a=SLOPE)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


def check(shape: Sequence[int], depth: int) -> None:
    """Raise `UserError` if the shape is neither that of points nor of images, or if `depth` is below 1."""
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise UserError(f"`shape` must be (dims,) for points or (channels, height, width), got {tuple(shape)}")
    if depth < 1:
        raise UserError(f"`depth` must be at least 1, got {depth}")


class Generator(nn.Module):
    """Code (N, code_dim) -> points (N, D), unbounded, or images (N, C, H, W) in [-1, 1]; `depth` hidden layers."""

    def __init__(self, shape: Sequence[int], code_dim: int, width: Width = 128, depth: Depth = 3) -> None:
        super().__init__()
        check(shape, depth)
        self.hidden = hidden(code_dim, width, depth)
        self.out = nn.Sequential(nn.Linear(width, prod(shape)), nn.Unflatten(1, tuple(shape)))
        self.squash = nn.Tanh() if len(shape) == 3 else nn.Identity()

    def forward(self, code: Tensor) -> Tensor:
        """Return points or images (N, *shape) of codes (N, code_dim)."""
        return self.squash(self.out(self.hidden(code)))


class Trunk(nn.Module):
    """Points or images (N, *shape) -> features (N, width, 1, 1)."""

    def __init__(self, shape: Sequence[int], width: Width = 128, depth: Depth = 3) -> None:
        super().__init__()
        check(shape, depth)
        self.hidden = hidden(prod(shape), width, depth)
        self.feature_shape = (width, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, width, 1, 1) of points or images (N, *shape)."""
        return self.hidden(images.flatten(1))[:, :, None, None]
