"""Convolutions whose weights a style scales, and pixel noise that is a function of the code (Karras et al. 2020).

Plain PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.networks.equalized import EqualLinear
from ganlab.networks.resampling import Blur

EPSILON = 1e-8


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """Return (N, outputs): 1 / sqrt(sum_{i,k} (s_i w_ijk)^2 + epsilon). Eq. 3 of the paper.

    weight: (outputs, inputs, k, k); style: (N, inputs).
    """
    return (style.square() @ weight.square().sum((2, 3)).t() + EPSILON).rsqrt()


def modulated_conv(x: Tensor, weight: Tensor, style: Tensor, demodulate: bool = True, up: bool = False) -> Tensor:
    """Convolve each sample with its own weights, s_i w_ijk, demodulated to unit deviation. Eqs. 1 and 3.

    Scaling the inputs of the weights equals scaling x, and scaling their outputs equals scaling y. So one convolution
    serves the whole batch, with the same result as a grouped one with N sets of weights. x: (N, inputs, H, W). Return
    (N, outputs, H, W), or (N, outputs, 2 H + 1, 2 W + 1) with `up`, a transposed convolution of stride 2.
    """
    x = x * style[:, :, None, None]
    y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2) if up else F.conv2d(x, weight, padding="same")
    return y * demodulation(weight, style)[:, :, None, None] if demodulate else y


class ModulatedConv2d(nn.Module):
    """A modulated convolution with an equalized learning rate. The style is an affine function of w, initially near 1.

    up: double the side, and filter with [1, 3, 3, 1].
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, style_dim: int, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.affine = EqualLinear(style_dim, inputs, offset=1.0)
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.demodulate, self.up = demodulate, up
        self.smooth = Blur(padding=1, gain=4.0) if up else nn.Identity()

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return the maps of x, convolved by weights that the style w scales."""
        return self.smooth(modulated_conv(x, self.weight * self.scale, self.affine(w), self.demodulate, self.up))


class PixelNoise(nn.Module):
    """x + strength times noise, one number for each pixel, the same for all channels. `strength` is learned from 0.

    Pixel (i, j) has sqrt(2) cos(<a_i + b_j, code> + c_ij) with fixed random a, b, c. It has mean 0 and variance 1 over
    codes, and is uncorrelated between pixels and between codes that are not close. The noise is a smooth function of
    the code, so the picture is too, for any batch and device. No gradient flows back to the code.
    """

    rows: Tensor
    columns: Tensor
    phases: Tensor

    def __init__(self, size: Sequence[int], code_dim: int) -> None:
        super().__init__()
        height, width = size
        turn = 2 * math.pi / math.sqrt(code_dim)  # unit normals in the code then turn a phase by a deviation of 2 pi
        self.register_buffer("rows", turn * torch.randn(height, code_dim))
        self.register_buffer("columns", turn * torch.randn(width, code_dim))
        self.register_buffer("phases", 2 * math.pi * torch.rand(height, width))
        self.strength = nn.Parameter(torch.zeros(()))

    def noise(self, code: Tensor) -> Tensor:
        """Return the noise (N, 1, H, W) of codes (N, code_dim)."""
        code = code.detach()
        down, across = F.linear(code, self.rows), F.linear(code, self.columns)
        return math.sqrt(2) * (down[:, None, :, None] + across[:, None, None, :] + self.phases).cos()

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Return x with noise added to each pixel."""
        return x + self.strength * self.noise(code)
