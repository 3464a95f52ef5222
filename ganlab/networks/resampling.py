"""Resampling by a factor of two with the low-pass filter [1, 3, 3, 1], which avoids aliases.

Karras et al. 2019 (appendix C), Zhang 2019. Plain PyTorch: each filter is a depthwise convolution. Pixels beyond the
edge count as zero, as in the papers' code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TAPS = (1.0, 3.0, 3.0, 1.0)


class Lowpass(nn.Module):
    """The outer product of [1, 3, 3, 1] / 8 with itself, for any number of channels. Its sum is 1."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor(TAPS) / sum(TAPS)
        self.register_buffer("kernel", torch.outer(taps, taps)[None, None], persistent=False)

    def filters(self, x: Tensor) -> Tensor:
        """Return the kernel once for each channel of x: (C, 1, 4, 4)."""
        return self.kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1)


class Blur(Lowpass):
    """(N, C, H, W) -> (N, C, H + 2 padding - 3, W + 2 padding - 3), filtered and multiplied by `gain`."""

    def __init__(self, padding: int, gain: float = 1.0) -> None:
        super().__init__()
        self.padding, self.gain = padding, gain

    def forward(self, x: Tensor) -> Tensor:
        """Return the blurred maps. Their side changes by 2 padding - 3."""
        return F.conv2d(x, self.gain * self.filters(x), padding=self.padding, groups=x.shape[1])


class Upsample(Lowpass):
    """(N, C, H, W) -> (N, C, 2 H, 2 W): zeros between the pixels, then the filter with gain 4, which keeps the mean."""

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of twice the side."""
        return F.conv_transpose2d(x, 4 * self.filters(x), stride=2, padding=1, groups=x.shape[1])


class Downsample(Lowpass):
    """(N, C, H, W) -> (N, C, H / 2, W / 2): the filter, then every second pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of half the side."""
        return F.conv2d(x, self.filters(x), stride=2, padding=1, groups=x.shape[1])
