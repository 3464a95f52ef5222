"""FastGAN (Liu et al. 2021), for few pictures, of any sides that `blocks.grid` accepts: generator and trunk.

Plain PyTorch. Coarse maps weight the channels of fine ones ("skip-layer excitation"), and the generator has gated
linear units in place of rectifiers. `regularizers.Reconstruction` gives the discriminator the paper's auxiliary task.
The discriminator's second branch, for pictures at a lower resolution, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from ganlab.config.ranges import PositiveInt
from ganlab.networks.attention import attention_after
from ganlab.networks.blocks import SLOPE, SMALLEST, NoNorm, Normalization, grid, map_sides, upsample, widths
from ganlab.networks.modulation import PixelNoise

REACH = 4  # doublings between the maps that an excitation connects; fewer in networks that have fewer


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    """Return a convolution without bias, spectrally normalized (Miyato et al. 2018)."""
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False))


class Gate(nn.Module):
    """(N, 2 C, ...) -> (N, C, ...): half of the channels, times the sigmoid of the other half (Dauphin et al. 2017)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the first half of x's channels, each times the sigmoid of one of the second half."""
        return F.glu(x, 1)


class Excitation(nn.Module):
    """fine * sigmoid(function of coarse), one number for each channel: section 3.1 of the paper."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.weights = nn.Sequential(
            nn.AdaptiveAvgPool2d(SMALLEST),
            conv(coarse, fine, SMALLEST),
            nn.LeakyReLU(0.1),
            conv(fine, fine, 1),
            nn.Sigmoid(),
        )

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return the fine maps, their channels weighted by the coarse ones."""
        return fine * self.weights(coarse)


class GatedLayer(nn.Module):
    """A 3 x 3 convolution, noise that is a function of the code, batch normalization and a gate."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int], code_dim: int) -> None:
        super().__init__()
        self.conv = conv(inputs, 2 * outputs, 3, padding=1)
        self.noise = PixelNoise(size, code_dim)
        self.rest = nn.Sequential(nn.BatchNorm2d(2 * outputs), Gate())

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Return the next maps of x."""
        return self.rest(self.noise(self.conv(x), code))


class Generator(nn.Module):
    """Code (N, code_dim) -> images (N, *shape) in [-1, 1].

    width: channels at full resolution. They double with every halving, up to `limit` times. Every second resolution,
    from the one after the coarsest on, has two layers; the others have one.

    attention: shorter sides of the maps with self-attention. word_attention: of those that attend to the caption's
    words, whose states have `word_dim` numbers. The paper has neither. Attention is the last layer of a resolution: it
    follows the excitation, and later excitations read its maps. It is not spectrally normalized.
    Raise `UserError` for a shape that `grid` rejects, or for a map that does not exist.
    """

    def __init__(
        self,
        shape: Sequence[int],
        code_dim: int,
        width: int = 32,
        limit: int = 16,
        attention: Sequence[PositiveInt] = (),
        word_attention: Sequence[PositiveInt] = (),
        word_dim: PositiveInt = 128,
    ) -> None:
        super().__init__()
        (height, breadth), levels = grid(shape)
        channels = widths(width, levels + 1, limit)[::-1]
        first = nn.ConvTranspose2d(code_dim, 2 * channels[0], (height, breadth), bias=False)
        unflat = nn.Unflatten(1, (code_dim, 1, 1))
        self.start = nn.Sequential(unflat, spectral_norm(first), nn.BatchNorm2d(2 * channels[0]), Gate())
        self.blocks = nn.ModuleList()
        for level, (inputs, outputs) in enumerate(pairwise(channels), start=1):
            size = (height << level, breadth << level)
            dims = [inputs, outputs, outputs] if level % 2 else [inputs, outputs]
            self.blocks.append(nn.ModuleList(GatedLayer(*pair, size, code_dim) for pair in pairwise(dims)))
        self.reach = min(REACH, levels)
        self.excitations = nn.ModuleList(
            Excitation(channels[level], channels[level + self.reach]) for level in range(levels + 1 - self.reach)
        )
        self.to_image = nn.Sequential(conv(width, shape[0], 3, padding=1), nn.Tanh())
        seen = dict(zip(map_sides((height, breadth), levels), channels, strict=True))
        self.attention = nn.ModuleList(attention_after(seen, attention, word_attention, word_dim).values())

    def forward(self, code: Tensor) -> Tensor:
        """Return images (N, *shape) of codes (N, code_dim)."""
        maps = [self.attention[0](self.start(code))]
        for level, layers in enumerate(self.blocks, start=1):
            x = upsample(maps[-1])
            for layer in layers:  # type: ignore[attr-defined]
                x = layer(x, code)
            source = level - self.reach
            x = x if source < 0 else self.excitations[source](x, maps[source])
            maps.append(self.attention[level](x))
        return self.to_image(maps[-1])


class DownBlock(nn.Module):
    """The mean of two paths that halve the side: two convolutions, and a 1 x 1 convolution of averaged pixels."""

    def __init__(self, inputs: int, outputs: int, norm: Normalization) -> None:
        super().__init__()
        strided, second = conv(inputs, outputs, 4, 2, 1), conv(outputs, outputs, 3, padding=1)
        leak = nn.LeakyReLU(SLOPE)
        self.main = nn.Sequential(strided, norm(outputs), leak, second, norm(outputs), leak)
        self.direct = nn.Sequential(nn.AvgPool2d(2), conv(inputs, outputs, 1), norm(outputs), leak)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of half the side."""
        return (self.main(x) + self.direct(x)) / 2


class Trunk(nn.Module):
    """Images (N, *shape) -> features (N, *feature_shape), the coarsest map.

    width, limit: as in the generator. normalization: none by default, so that gradient penalties are possible; the
    paper uses `BatchNorm`. attention: as in the generator, at half the picture's side or less.
    """

    def __init__(
        self,
        shape: Sequence[int],
        width: int = 32,
        limit: int = 16,
        normalization: Normalization | None = None,
        attention: Sequence[PositiveInt] = (),
    ) -> None:
        super().__init__()
        size, levels = grid(shape)
        channels, norm = widths(width, levels + 1, limit), normalization or NoNorm()
        self.from_image = nn.Sequential(conv(shape[0], width, 3, padding=1), nn.LeakyReLU(SLOPE))
        self.blocks = nn.ModuleList(DownBlock(*pair, norm) for pair in pairwise(channels))
        self.reach = min(REACH, levels)
        self.excitations = nn.ModuleList(
            Excitation(channels[level], channels[level + self.reach]) for level in range(levels + 1 - self.reach)
        )
        self.image_shape = tuple(shape)
        self.feature_shape = (channels[-1], *size)
        seen = dict(zip(map_sides(size, levels)[-2::-1], channels[1:], strict=True))
        self.attention = nn.ModuleList(attention_after(seen, attention).values())

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, *feature_shape) of images (N, *shape)."""
        maps = [self.from_image(images)]
        for level, (block, attention) in enumerate(zip(self.blocks, self.attention, strict=True), start=1):
            x, source = block(maps[-1]), level - self.reach
            maps.append(attention(x if source < 0 else self.excitations[source](x, maps[source])))
        return maps[-1]


class Decoder(nn.Module):
    """Features of a trunk -> pictures at a quarter of its sides in [-1, 1]: section 3.2 of the paper."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        channels = trunk.feature_shape[0]
        layers: list[nn.Module] = []
        for _ in range(len(trunk.blocks) - 2):
            outputs = max(channels // 2, 8)
            convolution = conv(channels, 2 * outputs, 3, padding=1)
            layers += [nn.Upsample(scale_factor=2), convolution, nn.GroupNorm(1, 2 * outputs), Gate()]
            channels = outputs
        self.layers = nn.Sequential(*layers, conv(channels, trunk.image_shape[0], 3, padding=1), nn.Tanh())

    def forward(self, features: Tensor) -> Tensor:
        """Return pictures of a quarter of the sides, decoded from features."""
        return self.layers(features)
