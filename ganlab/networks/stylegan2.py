"""StyleGAN2 (Karras et al. 2020) for pictures of any sides that `blocks.grid` accepts: generator and trunk.

Plain PyTorch. A mapping network maps the code to a style, which scales the weights of every convolution. There are two
differences from the paper. Pictures end in tanh, because they are in [-1, 1]. The noise of each layer is a function of
the code (`modulation.PixelNoise`), so a picture is a function of its code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from ganlab.config.ranges import PositiveInt
from ganlab.errors import UserError
from ganlab.networks.attention import attention_after
from ganlab.networks.blocks import grid, map_sides, widths
from ganlab.networks.equalized import EqualConv2d, EqualLinear, rectify
from ganlab.networks.minibatch import deviation, largest_divisor
from ganlab.networks.modulation import ModulatedConv2d, PixelNoise
from ganlab.networks.resampling import Blur, Downsample, Upsample
from ganlab.networks.styles import Mapping, Styles

Size = tuple[int, int]


class StyledLayer(nn.Module):
    """A modulated 3 x 3 convolution, noise, bias and rectifier. size: height and width of the output."""

    def __init__(self, inputs: int, outputs: int, size: Size, dims: tuple[int, int], up: bool, noise: bool) -> None:
        super().__init__()
        code_dim, style_dim = dims
        self.conv = ModulatedConv2d(inputs, outputs, 3, style_dim, up=up)
        self.noise = PixelNoise(size, code_dim) if noise else None
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, w: Tensor, code: Tensor) -> Tensor:
        """Return the next maps of x in the style w."""
        x = self.conv(x, w)
        if self.noise is not None:
            x = self.noise(x, code)
        return rectify(x + self.bias[:, None, None])


class ToImage(nn.Module):
    """A modulated 1 x 1 convolution to the picture's channels, not demodulated, and a bias."""

    def __init__(self, inputs: int, channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(inputs, channels, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return the picture of the maps x in the style w."""
        return self.conv(x, w) + self.bias[:, None, None]


class UpBlock(nn.Module):
    """Two styled layers, the first of which doubles the side. residual: plus a linear path, over sqrt(2)."""

    def __init__(
        self, inputs: int, outputs: int, size: Size, dims: tuple[int, int], noise: bool, residual: bool
    ) -> None:
        super().__init__()
        self.first = StyledLayer(inputs, outputs, size, dims, up=True, noise=noise)
        self.second = StyledLayer(outputs, outputs, size, dims, up=False, noise=noise)
        self.skip = nn.Sequential(EqualConv2d(inputs, outputs, 1, bias=False), Upsample()) if residual else None

    def forward(self, x: Tensor, styles: Tensor, code: Tensor) -> Tensor:
        """Return maps of twice the side. styles: (N, 2, style_dim)."""
        branch = self.second(self.first(x, styles[:, 0], code), styles[:, 1], code)
        return branch if self.skip is None else (branch + self.skip(x)) / math.sqrt(2)


class Generator(nn.Module):
    """Code (N, code_dim) -> images (N, *shape) in [-1, 1].

    width: channels at full resolution. They double with every halving, up to `limit` times. The paper's network at 256
    pixels (configuration F, half as many channels) has `width=64`. style_dim, depth: of the mapping network, 2 to 8
    layers. residual: residual blocks and one picture at the end, instead of a sum of pictures over all resolutions
    ("output skips", figure 7). noise: whether layers have noise. mixing: see `Styles`. latent_dim: the size of the
    latent in the code; None if all of it is latent.

    attention: shorter sides of the maps with self-attention. word_attention: of those that attend to the caption's
    words, whose states have `word_dim` numbers. The paper has neither. Attention follows a resolution's convolutions,
    in residual blocks the sum with the linear path, and precedes the layer to the picture. It has no style, so mixing
    changes it through the maps alone, and its learning rate is not equalized.
    Raise `UserError` for a shape that `grid` rejects, or for a map that does not exist.
    """

    def __init__(
        self,
        shape: Sequence[int],
        code_dim: int,
        width: int = 64,
        limit: int = 8,
        style_dim: int = 512,
        depth: int = 8,
        residual: bool = False,
        noise: bool = True,
        mixing: float = 0.0,
        latent_dim: int | None = None,
        attention: Sequence[PositiveInt] = (),
        word_attention: Sequence[PositiveInt] = (),
        word_dim: PositiveInt = 128,
    ) -> None:
        super().__init__()
        check_styles(depth, mixing)
        (height, breadth), levels = grid(shape)
        channels = widths(width, levels + 1, limit)[::-1]
        dims = (code_dim, style_dim)
        mapping = Mapping(code_dim, style_dim, depth)
        self.styles = Styles(mapping, 2 * levels + 2, code_dim if latent_dim is None else latent_dim, mixing)
        self.constant = nn.Parameter(torch.randn(channels[0], height, breadth))
        self.start = StyledLayer(channels[0], channels[0], (height, breadth), dims, up=False, noise=noise)
        self.blocks = nn.ModuleList(
            UpBlock(channels[i], channels[i + 1], (height << i + 1, breadth << i + 1), dims, noise, residual)
            for i in range(levels)
        )
        shown = channels[-1:] if residual else channels
        self.to_images = nn.ModuleList(ToImage(count, shape[0], style_dim) for count in shown)
        self.enlarge = Upsample()
        seen = dict(zip(map_sides((height, breadth), levels), channels, strict=True))
        self.attention = nn.ModuleList(attention_after(seen, attention, word_attention, word_dim).values())

    def forward(self, code: Tensor) -> Tensor:
        """Return images (N, *shape) of codes (N, code_dim)."""
        return self.paint(self.styles(code), code).tanh()

    def paint(self, styles: Tensor, code: Tensor) -> Tensor:
        """Return the pictures before tanh. The picture at a resolution has the style of the next layer."""
        first, *further = self.attention
        maps = [first(self.start(self.constant.expand(code.shape[0], -1, -1, -1), styles[:, 0], code))]
        for level, (block, attention) in enumerate(zip(self.blocks, further, strict=True)):
            maps.append(attention(block(maps[-1], styles[:, 2 * level + 1 : 2 * level + 3], code)))
        shown = list(zip(maps, styles[:, 1::2].unbind(1), strict=True))[-len(self.to_images) :]
        images = [to_image(*one) for to_image, one in zip(self.to_images, shown, strict=True)]
        return reduce(lambda coarse, fine: self.enlarge(coarse) + fine, images)


def check_styles(depth: int, mixing: float) -> None:
    """Raise `UserError` for a depth below 1, or a share of mixed styles outside [0, 1]."""
    if depth < 1:
        raise UserError(f"`depth` must be at least 1 layer of the mapping network, got {depth}: the paper has 8")
    if not 0 <= mixing <= 1:
        raise UserError(f"`mixing` must be a share of the samples from 0 to 1, got {mixing}: the paper has 0.9")


class DownBlock(nn.Module):
    """Two convolutions, the second of which halves the side. residual: plus a linear path, over sqrt(2)."""

    def __init__(self, inputs: int, outputs: int, residual: bool) -> None:
        super().__init__()
        self.first = EqualConv2d(inputs, inputs, 3, padding=1)
        self.second = nn.Sequential(Blur(padding=2), EqualConv2d(inputs, outputs, 3, stride=2))
        self.skip = nn.Sequential(Downsample(), EqualConv2d(inputs, outputs, 1, bias=False)) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of half the side."""
        branch = rectify(self.second(rectify(self.first(x))))
        return branch if self.skip is None else (branch + self.skip(x)) / math.sqrt(2)


class Epilogue(nn.Module):
    """The last map -> features: the deviation over a group of samples, a convolution and, if `dense`, a linear layer.

    group: samples in a group, 0 for no deviation. If it does not divide the number of samples, groups are smaller.
    """

    def __init__(self, channels: int, size: Size, group: int, dense: bool) -> None:
        super().__init__()
        self.group = group
        self.conv = EqualConv2d(channels + (group > 0), channels, 3, padding=1)
        self.linear = EqualLinear(channels * math.prod(size), channels) if dense else None
        self.feature_shape = (channels, 1, 1) if dense else (channels, *size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of the last maps."""
        if self.group:
            group = largest_divisor(len(x), self.group)
            spread = deviation(x, group).to(x.dtype).repeat(group)
            x = torch.cat([x, spread[:, None, None, None].expand(-1, 1, *x.shape[2:])], 1)
        x = rectify(self.conv(x))
        return x if self.linear is None else rectify(self.linear(x.flatten(1)))[:, :, None, None]


class Trunk(nn.Module):
    """Images (N, *shape) -> features (N, *feature_shape), one pixel if `dense`, else the coarsest map.

    width, limit: as in the generator. residual: residual blocks; else each resolution also gets the picture at its size
    ("input skips", figure 7). deviation: the group size of the deviation before the last convolution, 0 for none. With
    it, a picture's features depend on its batch. attention: shorter sides of the maps with self-attention, of half the
    picture's side or less. It follows the sums of residual blocks and input skips. The paper's discriminator has none,
    and adds `RealismLogit`.
    """

    def __init__(
        self,
        shape: Sequence[int],
        width: int = 64,
        limit: int = 8,
        residual: bool = True,
        deviation: int = 4,
        dense: bool = True,
        attention: Sequence[PositiveInt] = (),
    ) -> None:
        super().__init__()
        size, levels = grid(shape)
        channels = widths(width, levels + 1, limit)
        seen = channels[:1] if residual else channels
        self.from_images = nn.ModuleList(EqualConv2d(shape[0], count, 1) for count in seen)
        self.blocks = nn.ModuleList(DownBlock(channels[i], channels[i + 1], residual) for i in range(levels))
        self.reduce = Downsample()
        self.epilogue = Epilogue(channels[-1], size, deviation, dense)
        self.feature_shape = self.epilogue.feature_shape
        maps = dict(zip(map_sides(size, levels)[-2::-1], channels[1:], strict=True))
        self.attention = nn.ModuleList(attention_after(maps, attention).values())

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, *feature_shape) of images (N, *shape)."""
        x = rectify(self.from_images[0](images))
        for level, (block, attention) in enumerate(zip(self.blocks, self.attention, strict=True), start=1):
            x = block(x)
            if level < len(self.from_images):
                images = self.reduce(images)
                x = x + rectify(self.from_images[level](images))
            x = attention(x)
        return self.epilogue(x)
