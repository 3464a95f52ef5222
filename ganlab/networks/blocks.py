"""Parts that several networks share: sizes, widths, convolutions, normalizations. Plain PyTorch.

This file imports no network; the network files import it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.config.ranges import ImageShape
from ganlab.errors import UserError

(_, IMAGES) = get_args(ImageShape)
SIDES: tuple[int, ...] = IMAGES.sides
SMALLEST = 4  # side of the coarsest map: where generators start and trunks end
SLOPE = 0.2  # of leaky rectifiers (Radford et al. 2016)


def image_side(shape: Sequence[int]) -> int:
    """Return the side of square images (C, side, side) for convolutional networks. Raise `UserError` for other shapes.

    >>> image_side((3, 64, 64))
    64
    """
    if len(shape) != 3:
        raise UserError(f"`shape` must be (channels, side, side), got {tuple(shape)}: ganlab.networks.mlp takes points")
    channels, *sides = shape
    if channels < 1 or sides[0] != sides[1] or sides[0] not in SIDES:
        fits = next((side for side in SIDES if side >= max(sides)), SIDES[-1])
        allowed = ", ".join(map(str, SIDES))
        raise UserError(f"`shape` must be square with a side of {allowed}, got {tuple(shape)}: pass data.size={fits}")
    return sides[0]


def grid(shape: Sequence[int]) -> tuple[tuple[int, int], int]:
    """Return the coarsest map's (height, width) for pictures (C, H, W), and the number of doublings up to H and W.

    The shorter side of the coarsest map is 4 to 7. Raise `UserError` if the sides are not those of such a map times a
    power of two, or not within 16 to 1,024.

    >>> grid((3, 64, 96)), grid((3, 48, 48))
    (((4, 6), 4), ((6, 6), 3))
    """
    if len(shape) != 3:
        raise UserError(
            f"`shape` must be (channels, height, width), got {tuple(shape)}: ganlab.networks.mlp takes points"
        )
    channels, height, width = shape
    levels = (min(height, width) // SMALLEST).bit_length() - 1
    step = 2 ** max(levels, 0)
    if channels < 1 or min(height, width) < SIDES[0] or max(height, width) > 1024 or height % step or width % step:
        raise UserError(
            "`shape` must have sides of 16 to 1024 that are 4, 5, 6 or 7 (the longer one more) times the same power "
            f"of two, got {tuple(shape)}: pass data.size={nearest_side(max(height, width))}"
        )
    return (height // step, width // step), levels


def map_sides(size: tuple[int, int], levels: int) -> list[int]:
    """Return the shorter sides of the maps from a coarsest one of (height, width) on, doubled `levels` times.

    >>> map_sides((4, 6), 3)
    [4, 8, 16, 32]
    """
    return [min(size) << level for level in range(levels + 1)]


def nearest_side(side: int) -> int:
    """Return the smallest of 16, 32, ..., 1024 that is at least `side`, or 1024."""
    return next((fits for fits in (16, 32, 64, 128, 256, 512) if fits >= side), 1024)


def halvings(side: int) -> int:
    """Return the number of halvings from this side to 4."""
    return (side // SMALLEST).bit_length() - 1


def widths(width: int, count: int, limit: int = 8) -> list[int]:
    """Return the channels from the finest of `count` resolutions to the coarsest: doubled up to `limit` times `width`.

    >>> widths(16, 5)
    [16, 32, 64, 128, 128]
    """
    return [width * min(2**level, limit) for level in range(count)]


def conv3(inputs: int, outputs: int, bias: bool = True) -> nn.Conv2d:
    """Return a 3 x 3 convolution that keeps the size, initialized for a rectified input (He et al. 2015)."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def conv1(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a 1 x 1 convolution without bias that keeps the variance: a change of width on a skip connection."""
    layer = nn.Conv2d(inputs, outputs, 1, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    return layer


def upsample(x: Tensor) -> Tensor:
    """Double the side by repeating every pixel."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def downsample(x: Tensor) -> Tensor:
    """Halve the side by averaging 2 x 2 pixels."""
    return F.avg_pool2d(x, 2)


class Normalization(ABC):
    """A choice of normalization. Called with a number of channels, it returns the layer.

    centers: whether the layer removes a channel's mean, so that a bias before it has no effect.
    """

    centers: ClassVar[bool]

    @abstractmethod
    def __call__(self, channels: int) -> nn.Module:
        """Return the normalization layer for this number of channels."""

    def initialize(self, weight: Tensor) -> None:
        """Initialize the weights of neighbouring convolutions from N(0, 0.02) (Radford et al. 2016, section 3)."""
        nn.init.normal_(weight, 0.0, 0.02)


class BatchNorm(Normalization):
    """Batch normalization, scale initialized from N(1, 0.02) (Radford et al. 2016)."""

    centers = True

    def __call__(self, channels: int) -> nn.Module:
        """Return the normalization layer for this number of channels."""
        layer = nn.BatchNorm2d(channels)
        nn.init.normal_(layer.weight, 1.0, 0.02)
        return layer


class LayerNorm(Normalization):
    """Normalization of each image over channels and pixels, which gradient penalties allow (Gulrajani et al. 2017)."""

    centers = False

    def __call__(self, channels: int) -> nn.Module:
        """Return the normalization layer for this number of channels."""
        return nn.GroupNorm(1, channels)


class NoNorm(Normalization):
    """No normalization. The initial weights keep the size of the signal (He et al. 2015)."""

    centers = False

    def __call__(self, channels: int) -> nn.Module:
        """Return the identity."""
        return nn.Identity()

    def initialize(self, weight: Tensor) -> None:
        """Initialize the weights of neighbouring convolutions to keep the size of the signal."""
        nn.init.kaiming_normal_(weight, a=SLOPE)


class InstanceNorm(Normalization):
    """Normalization of each channel of each image by itself; scale initialized from N(1, 0.02).

    It equals batch normalization with one image in a batch (Isola et al. 2017, section 3.3). A picture does not depend
    on its batch.
    """

    centers = True

    def __call__(self, channels: int) -> nn.Module:
        """Return the normalization layer for this number of channels."""
        layer = nn.InstanceNorm2d(channels, affine=True)
        nn.init.normal_(layer.weight, 1.0, 0.02)
        return layer


class OwnBatchNorm(Normalization):
    """Batch normalization by the statistics of the batch, also in sampling (Isola et al. 2017, section 3.3).

    A picture then depends on the other pictures of its batch. `BatchNorm` uses running statistics in sampling instead.
    """

    centers = True

    def __call__(self, channels: int) -> nn.Module:
        """Return the normalization layer for this number of channels."""
        layer = nn.BatchNorm2d(channels, track_running_stats=False)
        nn.init.normal_(layer.weight, 1.0, 0.02)
        return layer
