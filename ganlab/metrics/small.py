"""The built-in feature extractor's network: a residual classifier of 32 x 32 pictures, 0.7 million weights.

`features.py` wraps it, `tools/train_small.py` makes its weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = 32
DIM = 64


class Residual(nn.Module):
    """relu(shortcut(x) + conv(conv(x))), halving the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of half the side (N, outputs, H / 2, W / 2)."""
        inner = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.shortcut(F.avg_pool2d(x, 2)) + self.norms[1](self.second(inner)))


class SmallNet(nn.Module):
    """Pictures (N, 3, 32, 32) in [-1, 1] -> features (N, 64) and class logits (N, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, padding=1)
        self.stages = nn.Sequential(Residual(24, 48), Residual(48, 96), Residual(96, 192))
        self.project = nn.Linear(192, DIM)
        self.classify = nn.Linear(DIM, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, 64) and logits (N, classes)."""
        features = self.features(x)
        return features, self.classify(features)

    def features(self, x: Tensor) -> Tensor:
        """Return features (N, 64)."""
        pooled = self.stages(F.relu(self.stem(x))).mean((2, 3))
        return self.project(pooled)


def squeeze(images: Tensor) -> Tensor:
    """Return pictures uint8 (N, 3, H, W) as float32 (N, 3, 32, 32) in [-1, 1], resized with antialiasing."""
    x = images.float()
    if x.shape[-2:] != (SIZE, SIZE):
        x = F.interpolate(x, size=(SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)
    return (x / 127.5 - 1).contiguous(memory_format=torch.channels_last)
