"""Residual generator and trunk for square images of side 16 to 256 (Miyato et al. 2018, Brock et al. 2019).

Plain PyTorch. The whole code modulates the generator's normalization at every resolution. The trunk has no
normalization. Only one of a block's two convolutions works at the finer resolution, which makes the block fast on a
CPU.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.config.ranges import ImageShape, PositiveInt, Width
from ganlab.networks.attention import attention_after, attention_at
from ganlab.networks.blocks import SLOPE, SMALLEST, conv1, conv3, downsample, halvings, image_side, upsample, widths
from ganlab.networks.conditioning import ConditionalBatchNorm2d


class Start(ABC):
    """A choice of the first map. Called with (code_dim, channels), it returns a layer (N, code_dim) -> 4 x 4."""

    @abstractmethod
    def __call__(self, code_dim: int, channels: int) -> nn.Module:
        """Return the layer that turns a code into the first map."""


class FromCode(Start):
    """The first map is a linear function of the code."""

    def __call__(self, code_dim: int, channels: int) -> nn.Module:
        """Return the layer that turns a code into the first map."""
        linear = nn.Linear(code_dim, channels * SMALLEST**2)
        return nn.Sequential(linear, nn.Unflatten(1, (channels, SMALLEST, SMALLEST)))


class Learned(Start):
    """The first map is one learned picture. The code enters by modulation alone (Karras et al. 2019)."""

    def __call__(self, code_dim: int, channels: int) -> nn.Module:
        """Return the layer that turns a code into the first map."""
        return LearnedMap(channels)


class LearnedMap(nn.Module):
    """The same learned map (C, 4, 4) for every code."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.map = nn.Parameter(torch.randn(channels, SMALLEST, SMALLEST))

    def forward(self, code: Tensor) -> Tensor:
        """Return the learned map, repeated for each code."""
        return self.map.expand(code.shape[0], -1, -1, -1)


class UpBlock(nn.Module):
    """x + a branch of two modulated convolutions without biases, which normalization removes; at twice the side."""

    def __init__(self, inputs: int, outputs: int, code_dim: int) -> None:
        super().__init__()
        self.norm1 = ConditionalBatchNorm2d(inputs, code_dim)
        self.conv1 = conv3(inputs, outputs, bias=False)
        self.norm2 = ConditionalBatchNorm2d(outputs, code_dim)
        self.conv2 = conv3(outputs, outputs, bias=False)
        self.skip = conv1(inputs, outputs)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Return maps of twice the side, modulated by the code."""
        branch = self.conv1(F.relu(self.norm1(x, code)))
        branch = self.conv2(upsample(F.relu(self.norm2(branch, code))))  # repeating pixels changes no moments
        return branch + upsample(self.skip(x))


class DownBlock(nn.Module):
    """x + a branch of two convolutions, at half the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv3(inputs, inputs), conv3(inputs, outputs)
        nn.init.kaiming_normal_(self.conv2.weight, a=4.0)  # a branch of a tenth of the variance: depth then adds little
        self.skip = conv1(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of half the side."""
        branch = self.conv1(F.leaky_relu(x, SLOPE))
        branch = self.conv2(downsample(F.leaky_relu(branch, SLOPE)))
        return branch + self.skip(downsample(x))


class Generator(nn.Module):
    """Code (N, code_dim) -> images (N, *shape) in [-1, 1].

    width: channels at full resolution. They double with every halving, up to `limit` times. attention: sides of the
    maps with self-attention. word_attention: of those that attend to the caption's words, whose states have `word_dim`
    numbers.
    Raise `UserError` if the shape is not square with a power-of-two side of 16 to 256, or for a map that does not
    exist.
    """

    def __init__(
        self,
        shape: ImageShape,
        code_dim: int,
        width: Width = 32,
        limit: Width = 8,
        start: Start | None = None,
        attention: Sequence[PositiveInt] = (),
        word_attention: Sequence[PositiveInt] = (),
        word_dim: PositiveInt = 128,
    ) -> None:
        super().__init__()
        levels = halvings(image_side(shape))
        fine_to_coarse = widths(width, levels + 1, limit)
        maps = {SMALLEST << level: fine_to_coarse[levels - level] for level in range(1, levels + 1)}
        self.start = (start or FromCode())(code_dim, fine_to_coarse[-1])
        self.blocks = nn.ModuleList(
            UpBlock(fine_to_coarse[i + 1], fine_to_coarse[i], code_dim) for i in reversed(range(levels))
        )
        self.attention = nn.ModuleList(attention_after(maps, attention, word_attention, word_dim).values())
        self.norm = ConditionalBatchNorm2d(width, code_dim)
        self.to_image = conv3(width, shape[0])
        nn.init.xavier_normal_(self.to_image.weight)

    def forward(self, code: Tensor) -> Tensor:
        """Return images (N, *shape) of codes (N, code_dim)."""
        x = self.start(code)
        for block, attention in zip(self.blocks, self.attention, strict=True):
            x = attention(block(x, code))
        return self.to_image(F.relu(self.norm(x, code))).tanh()


class Trunk(nn.Module):
    """Images (N, *shape) -> features (N, *feature_shape), 4 x 4 pixels; no normalization.

    width, limit, attention: as in the generator.
    """

    def __init__(
        self, shape: ImageShape, width: Width = 32, limit: Width = 8, attention: Sequence[PositiveInt] = ()
    ) -> None:
        super().__init__()
        levels = halvings(image_side(shape))
        channels = widths(width, levels + 1, limit)
        sides = [SMALLEST * 2**level for level in reversed(range(levels))]
        attentive = attention_at(sides, attention)
        self.from_image = conv3(shape[0], width)
        layers: list[nn.Module] = []
        for i, side in enumerate(sides):
            layers += [DownBlock(channels[i], channels[i + 1]), *attentive(side, channels[i + 1])]
        self.blocks = nn.Sequential(*layers)
        self.feature_shape = (channels[-1], SMALLEST, SMALLEST)

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, *feature_shape) of images (N, *shape)."""
        return F.leaky_relu(self.blocks(self.from_image(images)), SLOPE)
