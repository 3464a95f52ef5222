"""The U-Net of pix2pix (Isola et al. 2017, appendix 6.1.1): image and noise in, image of the same size out.

Plain PyTorch. The paper's noise is dropout in the inner decoder blocks. Here the latent determines the mask, so a
picture is a function of its input and its latent, in any mode, batch and machine.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import NormalDist
from typing import ClassVar

import torch
from torch import Tensor, nn

from ganlab.config.ranges import ImageShape, ProperFraction, Width
from ganlab.errors import UserError
from ganlab.networks.blocks import SLOPE, InstanceNorm, Normalization, image_side, widths
from ganlab.networks.dcgan import initialize

NOISY = 3  # inner decoder blocks with dropout


def dropped(x: Tensor, latent: Tensor, rate: float) -> Tensor:
    """Apply dropout with a given mask: an element stays if its normal z exceeds the quantile Phi^-1(rate).

    x: (N, ...); latent: (N, elements of one x). P(z > Phi^-1(p)) = 1 - p, so x / (1 - p) keeps the mean.
    """
    stays = latent.reshape(x.shape) > NormalDist().inv_cdf(rate)
    return x * stays / (1 - rate)


def down(inputs: int, outputs: int, norm: Normalization) -> nn.Module:
    """Return layers that halve the side."""
    layer = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not norm.centers)
    return nn.Sequential(nn.LeakyReLU(SLOPE), layer, norm(outputs))


def up(inputs: int, outputs: int, norm: Normalization) -> nn.Module:
    """Return layers that double the side."""
    layer = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=not norm.centers)
    return nn.Sequential(nn.ReLU(), layer, norm(outputs))


class Generator(nn.Module):
    """Image (N, *shape) in [-1, 1] and latent (N, latent_dim) -> image (N, *shape) in [-1, 1].

    The encoder halves the side down to one pixel, and the decoder doubles it back, with a skip connection at each
    resolution. At a side of 256 with width 64 it is the paper's network. width: channels at half the side. They double
    with every halving, up to `limit` times. dropout: the share that is dropped in the three inner decoder blocks, also
    in sampling; 0 makes the picture a function of the input alone. The first layer and the 1 x 1 map are not
    normalized. latent_dim: one normal for each element that may be dropped.
    Raise `UserError` if the shape is not square with a power-of-two side of 16 to 256, or if `dropout` is outside [0,
    1).
    """

    draws_from: ClassVar[str] = "image"

    def __init__(
        self,
        shape: ImageShape,
        width: Width = 64,
        limit: Width = 8,
        dropout: ProperFraction = 0.5,
        normalization: Normalization | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise UserError(f"`dropout` must be at least 0 and less than 1, got {dropout}: the paper has 0.5")
        norm, count = normalization or InstanceNorm(), image_side(shape).bit_length() - 1
        channels = widths(width, count, limit)
        inner = channels[::-1]
        self.first = nn.Conv2d(shape[0], width, 4, 2, 1)
        self.downs = nn.ModuleList(down(*pair, norm) for pair in pairwise(channels[:-1]))
        self.middle = nn.Sequential(
            nn.LeakyReLU(SLOPE), nn.Conv2d(inner[1], inner[0], 4, 2, 1), up(inner[0], inner[1], norm)
        )
        self.ups = nn.ModuleList(up(2 * inputs, outputs, norm) for inputs, outputs in pairwise(inner[1:]))
        self.last = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * width, shape[0], 4, 2, 1), nn.Tanh())
        self.dropout = dropout
        noisy = inner[1 : 1 + NOISY] if dropout else []
        self.masks = [outputs * 4**level for level, outputs in enumerate(noisy, start=1)]  # 2, 4, 8 pixels a side
        self.latent_dim = sum(self.masks)
        initialize(self, norm)

    def forward(self, image: Tensor, latent: Tensor) -> Tensor:
        """Return images (N, *shape) for input images (N, *shape) and latents (N, latent_dim)."""
        skips = [self.first(image)]
        for layer in self.downs:
            skips.append(layer(skips[-1]))
        masks = iter(latent.split(self.masks, 1))
        x = self._noisy(self.middle(skips[-1]), next(masks, None))
        for layer in self.ups:
            x = self._noisy(layer(torch.cat([x, skips.pop()], 1)), next(masks, None))
        return self.last(torch.cat([x, skips.pop()], 1))

    def _noisy(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return x if mask is None else dropped(x, mask, self.dropout)
