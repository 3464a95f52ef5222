"""The second of two stages: it maps a small picture and a code to a picture of four times the side.

Zhang et al. 2017. Plain PyTorch. It consists of the residual generator's blocks, so the code modulates every
resolution.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.config.ranges import Depth, LargeImageShape, Width
from ganlab.errors import UserError
from ganlab.networks.blocks import SIDES, SLOPE, BatchNorm, conv3, image_side, widths
from ganlab.networks.conditioning import ConditionalBatchNorm2d
from ganlab.networks.resnet import UpBlock

FACTOR = 4  # between the stages' sides


def small_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of Stage I's pictures, a quarter of the side. Raise `UserError` if no network is that small.

    >>> small_shape((3, 64, 64))
    (3, 16, 16)
    """
    side = image_side(shape)
    if side // FACTOR not in SIDES:
        allowed = ", ".join(str(side) for side in SIDES if side // FACTOR in SIDES)
        raise UserError(f"`data.size` must be {allowed} for two stages, got {side}: the first draws a quarter of it")
    return shape[0], side // FACTOR, side // FACTOR


def shrink(images: Tensor, side: int) -> Tensor:
    """Return pictures at this side, each pixel the mean of those that it replaces. The same side changes nothing."""
    return images if images.shape[-1] == side else F.adaptive_avg_pool2d(images, side)


def enlarge(images: Tensor) -> Tensor:
    """Enlarge to four times the side by bilinear interpolation, within the range of the values."""
    return F.interpolate(images, scale_factor=FACTOR, mode="bilinear", align_corners=False)


def halve(inputs: int, outputs: int) -> nn.Sequential:
    """Return layers that halve the side by a strided convolution."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), BatchNorm()(outputs), nn.LeakyReLU(SLOPE))


class ResidualBlock(nn.Module):
    """x + a branch of two convolutions, at the same side, with a rectifier before each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first = [nn.BatchNorm2d(channels), nn.ReLU(), conv3(channels, channels, bias=False)]
        second = [nn.BatchNorm2d(channels), nn.ReLU(), conv3(channels, channels, bias=False)]
        self.branch = nn.Sequential(*first, *second)

    def forward(self, x: Tensor) -> Tensor:
        """Return x with the branch's maps added."""
        return x + self.branch(x)


def before_tanh(images: Tensor) -> Tensor:
    """Return the inverse of tanh. Values are first multiplied by 0.95, so that the result is finite."""
    return torch.atanh(0.95 * images)


class Refiner(nn.Module):
    """Small pictures (N, C, s, s) in [-1, 1] and codes (N, code_dim) -> pictures (N, *shape), s a quarter of the side.

    The layers are two halvings, concatenation with the code at every position, `blocks` residual blocks, and four
    doublings (Zhang et al. 2017, section 3.4). Two skip connections are not in the paper: features of the small picture
    are added again at their size, and the last layer corrects the enlarged picture. width: channels at full resolution.
    They double with every halving, up to `limit` times.
    Raise `UserError` if the shape is not square with a side of 64, 128 or 256.
    """

    def __init__(
        self, shape: LargeImageShape, code_dim: int, width: Width = 16, limit: Width = 8, blocks: Depth = 2
    ) -> None:
        super().__init__()
        small_shape(shape)
        full, half, quarter, eighth, sixteenth = widths(width, 5, limit)
        self.look = nn.Sequential(conv3(shape[0], quarter), nn.LeakyReLU(SLOPE))
        self.encode = nn.Sequential(halve(quarter, eighth), halve(eighth, sixteenth))
        self.join = conv3(sixteenth + code_dim, sixteenth, bias=False)
        self.residual = nn.Sequential(*(ResidualBlock(sixteenth) for _ in range(blocks)))
        self.back = nn.ModuleList([UpBlock(sixteenth, eighth, code_dim), UpBlock(eighth, quarter, code_dim)])
        self.beyond = nn.ModuleList([UpBlock(quarter, half, code_dim), UpBlock(half, full, code_dim)])
        self.norm = ConditionalBatchNorm2d(full, code_dim)
        self.to_correction = conv3(full, shape[0])
        nn.init.xavier_normal_(self.to_correction.weight)

    def forward(self, small: Tensor, code: Tensor) -> Tensor:
        """Return images of four times the side of the small ones, steered by the code."""
        seen = self.look(small)
        x = self.encode(seen)
        places = code[:, :, None, None].expand(-1, -1, *x.shape[2:])
        x = self.residual(self.join(torch.cat([x, places], 1)))
        for block in self.back:
            x = block(x, code)
        x = x + seen
        for block in self.beyond:
            x = block(x, code)
        correction = self.to_correction(F.relu(self.norm(x, code)))
        return (before_tanh(enlarge(small)) + correction).tanh()
