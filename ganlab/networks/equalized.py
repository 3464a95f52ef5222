"""Layers that scale their weights at run time: the equalized learning rate (Karras et al. 2018, section 4.1).

Plain PyTorch. Stored weights come from N(0, 1), and each layer multiplies them by the constant of He et al. 2015. Adam
then moves every layer's weights at the same relative speed.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.networks.blocks import SLOPE


def rectify(x: Tensor) -> Tensor:
    """Return the leaky rectifier of x, times sqrt(2) to keep the second moment (Karras et al. 2020)."""
    return F.leaky_relu(x, SLOPE) * math.sqrt(2)


class EqualLinear(nn.Linear):
    """y = rate (W x / sqrt(inputs) + b). `rate` is the layer's learning-rate multiplier; W starts as N(0, 1 / rate^2).

    `offset`: the value that the bias has at the start.
    """

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, offset: float = 0.0) -> None:
        super().__init__(inputs, outputs)
        nn.init.normal_(self.weight, std=1 / rate)
        nn.init.constant_(self.bias, offset / rate)
        self.rate, self.scale = rate, rate / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outputs) for x (N, inputs)."""
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv2d(nn.Conv2d):
    """Convolution by W / sqrt(inputs kernel^2), with W from N(0, 1) and a bias of 0 at the start."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, bias=bias)
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.scale = 1 / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved maps of x."""
        return F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)
