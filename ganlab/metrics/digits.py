"""A classifier of digits: it reads one of ten in each channel, and so one of 1,000 modes in a stack of three.

It is small and was trained by `tools/train_digits.py`. It names a digit for any picture, good or bad.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ganlab.data.stacks import DIGITS
from ganlab.metrics.features import digest_of
from ganlab.metrics.resizers import Resizer

SIZE = 32
WEIGHTS = Path(__file__).with_name("digits.pt")
BATCH = 1000  # channels read at once


def layer(inputs: int, outputs: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    """Return a layer: relu(normalized(convolution))."""
    conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class DigitNet(nn.Module):
    """Grey pictures (N, 1, 32, 32) in [-1, 1] -> logits (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            layer(1, 16, 5, 2), layer(16, 32), nn.MaxPool2d(2), layer(32, 48), layer(48, 64, stride=2), layer(64, 64)
        )
        self.classify = nn.Linear(64 * 4 * 4, DIGITS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, 10) of grey pictures (N, 1, 32, 32) in [-1, 1]."""
        return self.classify(self.features(x).flatten(1))


class DigitReader(nn.Module):
    """The trained classifier, frozen. `protocol` identifies it."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        super().__init__()
        self.net = DigitNet()
        self.net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.net.to(memory_format=torch.channels_last)
        self.resize = Resizer("antialias", SIZE)
        self.protocol = {"classifier": "digits", "weights": digest_of(weights)}
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> DigitReader:
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return the digit in each channel (N, C) int64 of pictures uint8 (N, C, H, W) of any size."""
        channels = images.flatten(0, 1)[:, None].to(self.net.classify.weight.device)
        read = [self._read(part) for part in torch.split(channels, BATCH)]
        return torch.cat(read).unflatten(0, tuple(images.shape[:2]))

    def _read(self, channels: Tensor) -> Tensor:
        x = self.resize(channels) / 127.5 - 1
        return self.net(x.contiguous(memory_format=torch.channels_last)).argmax(1)
