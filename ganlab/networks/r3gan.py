"""R3GAN (Huang et al. 2024) for pictures of any sides that `blocks.grid` accepts: generator and trunk.

Plain PyTorch. Residual blocks have no normalization, are wide in the middle, and have grouped 3 x 3 convolutions.
Resampling interpolates by [1, 2, 1] after repeating pixels, which is the filter [1, 3, 3, 1]. The coarse end is a
learned basis of maps. There is one difference from the paper: pictures end in tanh, because they are in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.config.ranges import PositiveInt
from ganlab.errors import UserError
from ganlab.networks.attention import attention_at
from ganlab.networks.blocks import SLOPE, grid, map_sides, widths
from ganlab.networks.resampling import Downsample, Upsample

GAIN = math.sqrt(2 / (1 + SLOPE**2))  # of a leaky rectifier: what a weight's deviation makes up for (He et al. 2015)
CONVOLUTIONS = 3  # in a block's branch


def convolution(inputs: int, outputs: int, kernel: int, groups: int = 1, gain: float = 1.0) -> nn.Conv2d:
    """Return a convolution that keeps the size, without bias; weights from N(0, gain^2 / fan in)."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
    return layer


class BiasedActivation(nn.Module):
    """The leaky rectifier of x + b."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the rectified x with a learned offset for each channel."""
        return F.leaky_relu(x + self.bias[:, None, None], SLOPE)


class ResidualBlock(nn.Module):
    """x + a branch of 1 x 1, grouped 3 x 3 and 1 x 1 convolutions, `expansion` times as wide in the middle.

    The last convolution starts at zero. The initial weights of the other two are scaled by blocks^(-1 / (2 * 3 - 2)),
    with the number of blocks in the whole network, so depth does not change the size of an update (Fixup, Zhang et al.
    2019).
    """

    def __init__(self, channels: int, group: int, expansion: int, blocks: int) -> None:
        super().__init__()
        inner = channels * expansion
        if inner % group:
            raise UserError(
                f"`group` must divide the {inner} channels inside a block, got {group}: change `width` or `group`"
            )
        gain = GAIN * blocks ** (-1 / (2 * CONVOLUTIONS - 2))
        self.branch = nn.Sequential(
            convolution(channels, inner, 1, gain=gain),
            BiasedActivation(inner),
            convolution(inner, inner, 3, groups=inner // group, gain=gain),
            BiasedActivation(inner),
            convolution(inner, channels, 1, gain=0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return x with the branch's maps added."""
        return x + self.branch(x)


class GenerativeBasis(nn.Module):
    """Code (N, code_dim) -> (N, C, h, w): learned maps, each times a linear function of the code."""

    def __init__(self, code_dim: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(channels, *size))
        self.linear = nn.Linear(code_dim, channels, bias=False)
        nn.init.normal_(self.linear.weight, std=1 / math.sqrt(code_dim))

    def forward(self, code: Tensor) -> Tensor:
        """Return the first maps of codes (N, code_dim)."""
        return self.maps * self.linear(code)[:, :, None, None]


class DiscriminativeBasis(nn.Module):
    """(N, C, h, w) -> (N, C, 1, 1): each channel's product with a learned map."""

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(channels, *size) / math.sqrt(math.prod(size)))

    def forward(self, x: Tensor) -> Tensor:
        """Return one pixel of features for the last maps."""
        return (x * self.maps).sum((2, 3), keepdim=True)


def change(inputs: int, outputs: int) -> nn.Module:
    """Return a 1 x 1 convolution that changes the number of channels, or the identity if it stays the same."""
    return nn.Identity() if inputs == outputs else convolution(inputs, outputs, 1)


def stages(
    attentive: Callable[[int, int], list[nn.Module]],
    size: tuple[int, int],
    levels: int,
    blocks: int,
    expansion: int,
    group: int,
) -> Callable[[int, int], list[nn.Module]]:
    """Return a function of (channels, level) that returns the layers at one resolution; level 0 is the coarsest."""
    sides, total = map_sides(size, levels), blocks * (levels + 1)

    def stage(channels: int, level: int) -> list[nn.Module]:
        same: list[nn.Module] = [ResidualBlock(channels, group, expansion, total) for _ in range(blocks)]
        return [*same, *attentive(sides[level], channels)]

    return stage


class Generator(nn.Module):
    """Code (N, code_dim) -> images (N, *shape) in [-1, 1].

    width: channels at full resolution. They double with every halving, up to `limit` times. blocks: residual blocks at
    each resolution. Inside they are `expansion` times as wide, in groups of `group` channels. attention: shorter sides
    of the maps with self-attention. word_attention: of those that attend to the caption's words, whose states have
    `word_dim` numbers. The paper has neither. The authors' network for CIFAR-10 is `width=768, limit=1`, for 256 pixels
    `width=96, limit=8`.
    Raise `UserError` for a shape that `grid` rejects, groups that do not divide, or a map that does not exist.
    """

    def __init__(
        self,
        shape: Sequence[int],
        code_dim: int,
        width: int = 96,
        limit: int = 8,
        blocks: int = 2,
        expansion: int = 2,
        group: int = 16,
        attention: Sequence[PositiveInt] = (),
        word_attention: Sequence[PositiveInt] = (),
        word_dim: PositiveInt = 128,
    ) -> None:
        super().__init__()
        size, levels = grid(shape)
        channels = widths(width, levels + 1, limit)[::-1]
        attentive = attention_at(map_sides(size, levels), attention, word_attention, word_dim)
        stage = stages(attentive, size, levels, blocks, expansion, group)
        layers = [GenerativeBasis(code_dim, channels[0], size), *stage(channels[0], 0)]
        for i in range(levels):
            layers += [change(channels[i], channels[i + 1]), Upsample(), *stage(channels[i + 1], i + 1)]
        self.layers = nn.Sequential(*layers, convolution(width, shape[0], 1))

    def forward(self, code: Tensor) -> Tensor:
        """Return images (N, *shape) of codes (N, code_dim)."""
        return self.paint(code).tanh()

    def paint(self, code: Tensor) -> Tensor:
        """Return the pictures before tanh."""
        return self.layers(code)


class Trunk(nn.Module):
    """Images (N, *shape) -> features (N, *feature_shape): one pixel with `basis`, else the coarsest map.

    The other settings are those of the generator. The authors' discriminator adds a linear map to one logit.
    """

    def __init__(
        self,
        shape: Sequence[int],
        width: int = 96,
        limit: int = 8,
        blocks: int = 2,
        expansion: int = 2,
        group: int = 16,
        basis: bool = True,
        attention: Sequence[PositiveInt] = (),
    ) -> None:
        super().__init__()
        size, levels = grid(shape)
        channels = widths(width, levels + 1, limit)
        attentive = attention_at(map_sides(size, levels), attention)
        stage = stages(attentive, size, levels, blocks, expansion, group)
        layers: list[nn.Module] = [convolution(shape[0], width, 1)]
        for i in range(levels):
            layers += [*stage(channels[i], levels - i), Downsample(), change(channels[i], channels[i + 1])]
        layers += [*stage(channels[-1], 0), *([DiscriminativeBasis(channels[-1], size)] if basis else [])]
        self.layers = nn.Sequential(*layers)
        self.feature_shape = (channels[-1], *((1, 1) if basis else size))

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, *feature_shape) of images (N, *shape)."""
        return self.layers(images)
