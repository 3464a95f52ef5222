"""A discriminator on frozen features of pictures: Projected GAN (Sauer et al. 2021). Plain PyTorch.

The features are EfficientNet-Lite0's at strides 4, 8, 16 and 32, as in the paper. Random, fixed convolutions mix them
across channels (CCM) and across scales (CSM). Each scale has a small trained network and, after it, logits or a head of
its own (`scales.py`). The loss is the mean of the scales' losses, as in the authors' code; the paper has the sum. There
is one difference: the authors have a logit at each position of a scale, and here a linear layer makes one of them all.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from ganlab.errors import UserError
from ganlab.networks.blocks import SLOPE
from ganlab.networks.efficientnet import Lite0
from ganlab.networks.weights import UnavailableError

CHANNELS = (24, 40, 112, 320)  # of the features at strides 4, 8, 16, 32
STRIDE = 32
LEVEL = 127.5  # pictures in [-1, 1] are levels 0..255 less this, over this; the weights expect (level - 127) / 128


class FrozenFeatures:
    """EfficientNet-Lite0, kept out of any module's parameters and state. A copy is the same object."""

    def __init__(self) -> None:
        try:
            with torch.device("cpu"):  # whatever device networks are being made on
                network = Lite0().eval().requires_grad_(False)
        except UnavailableError as error:
            raise UserError(f"`network=projected`: {error}") from error
        self.networks = {torch.device("cpu"): network}

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return maps at strides 4, 8, 16, 32 of pictures (N, 3, H, W) in [-1, 1]. Gradients flow to pictures."""
        if images.device not in self.networks:
            self.networks[images.device] = copy.deepcopy(self.networks[torch.device("cpu")]).to(images.device)
        return self.networks[images.device].stages((LEVEL * images + LEVEL - 127) / 128)

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenFeatures:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return frozen_features, ()


@lru_cache(maxsize=1)
def frozen_features() -> FrozenFeatures:
    """Return the features, loaded once in each process."""
    return FrozenFeatures()


def fixed(inputs: int, outputs: int, kernel: int) -> Tensor:
    """Draw weights of a random convolution that keeps the deviation: N(0, 1 / fan in)."""
    return torch.randn(outputs, inputs, kernel, kernel) / math.sqrt(inputs * kernel**2)


class Mixing(nn.Module):
    """Random, fixed convolutions over the features of four scales: section 3.2 of the paper. It has no parameters.

    Across channels: a 1 x 1 convolution at each scale, to `width` 2^l channels at scale l. Across scales: from the
    coarsest on, the coarser map is enlarged, goes through a 3 x 3 convolution and is added. The sum is divided by
    sqrt(2).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channels = [width * 2**level for level in range(len(CHANNELS))]
        for level, (inputs, outputs) in enumerate(zip(CHANNELS, self.channels, strict=True)):
            self.register_buffer(f"channel{level}", fixed(inputs, outputs, 1))
        for level in range(len(CHANNELS) - 1):
            self.register_buffer(f"scale{level}", fixed(self.channels[level + 1], self.channels[level], 3))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the mixed maps, finest first."""
        mixed = [F.conv2d(x, self.get_buffer(f"channel{level}")) for level, x in enumerate(maps)]
        for level in reversed(range(len(mixed) - 1)):
            below = F.interpolate(mixed[level + 1], size=mixed[level].shape[2:], mode="bilinear", align_corners=False)
            mixed[level] = (mixed[level] + self._across(level, below)) / math.sqrt(2)
        return mixed

    def _across(self, level: int, below: Tensor) -> Tensor:
        return F.conv2d(below, self.get_buffer(f"scale{level}"), padding=1)


def judge(inputs: int, width: int, halvings: int) -> nn.Sequential:
    """Return a scale's trained network: a convolution, then one of stride 2 for each halving, spectrally normalized."""
    layers: list[nn.Module] = [spectral_norm(nn.Conv2d(inputs, width, 3, padding=1)), nn.LeakyReLU(SLOPE)]
    for _ in range(halvings):
        layers += [spectral_norm(nn.Conv2d(width, width, 4, 2, 1)), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


class Trunk(nn.Module):
    """Images (N, *shape) -> features (N, 4 width, h, w): the outputs of the four scales' networks, side by side.

    side: pictures are enlarged so that the shorter side has this many pixels; h and w are a 32nd of the sides. width:
    channels of each scale's network. mixed: channels of the mixed features at the finest scale; they double at each
    coarser one. The frozen features are in neither parameters nor state. Raise `UserError` if pictures have not 1 or 3
    channels, if 32 does not divide `side`, or if the weights are not installed.
    """

    def __init__(self, shape: Sequence[int], side: int = 64, width: int = 64, mixed: int = 32) -> None:
        super().__init__()
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise UserError(
                f"`network=projected` sees pictures of 1 or 3 channels, got {tuple(shape)}: take another network"
            )
        if side < STRIDE or side % STRIDE:
            raise UserError(f"`side` must be a multiple of {STRIDE} pixels, got {side}: pass 64, or 128 for finer eyes")
        self.size = enlarged(shape[1:], side)
        self.features = frozen_features()
        self.mixing = Mixing(mixed)
        halvings = range(len(CHANNELS) - 1, -1, -1)
        self.judges = nn.ModuleList(judge(c, width, h) for c, h in zip(self.mixing.channels, halvings, strict=True))
        self.feature_scales = len(CHANNELS)
        self.feature_shape = (len(CHANNELS) * width, self.size[0] // STRIDE, self.size[1] // STRIDE)

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, *feature_shape) of images (N, *shape)."""
        large = F.interpolate(images, size=self.size, mode="bilinear", align_corners=False)
        maps = self.mixing(self.features(large.expand(-1, 3, -1, -1)))
        return torch.cat([judge(x) for judge, x in zip(self.judges, maps, strict=True)], 1)


def enlarged(sides: Sequence[int], side: int) -> tuple[int, int]:
    """Return (height, width) with the shorter one equal to `side`, and the other the nearest multiple of 32.

    >>> enlarged((32, 48), 64)
    (64, 96)
    """
    height, width = (max(1, round(each * side / min(sides) / STRIDE)) * STRIDE for each in sides)
    return height, width
