"""Ways of resizing pictures for a feature extractor. The choice moves FID by more than many papers claim to gain, so it
is part of a number's name.

| name | what it is | who uses it |
|---|---|---|
| `tf1` | bilinear between nearest neighbours, corners aligned at 0, no antialiasing | TensorFlow 1, torch-fidelity |
| `antialias` | bilinear, its triangle widened when shrinking | torchmetrics since 1.8 |
| `pil-bicubic` | bicubic (a = -1/2), widened when shrinking, cut to 0..255, not rounded | clean-fid |
| `none` | pictures as they are | |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def tf1(images: Tensor, side: int) -> Tensor:
    """Resize so that pixel i of the result lies at i * (old / new): half a pixel off, as in TensorFlow 1."""
    return _blend(_blend(images, side, -2), side, -1)


def _blend(x: Tensor, side: int, dim: int) -> Tensor:
    """Interpolate linearly along one dimension; the last pixel is repeated."""
    old = x.shape[dim]
    place = torch.arange(side, device=x.device, dtype=torch.float32) * torch.tensor(old / side, dtype=torch.float32)
    low = place.long()
    high = (low + 1).clamp_max(old - 1)
    share = (place - low).view((-1,) + (1,) * (-dim - 1))
    return torch.lerp(x.index_select(dim, low), x.index_select(dim, high), share)


def antialiased(images: Tensor, side: int) -> Tensor:
    """Resize bilinearly, with the triangle widened if pictures shrink."""
    return F.interpolate(images, (side, side), mode="bilinear", align_corners=False, antialias=True)


def pil_bicubic(images: Tensor, side: int) -> Tensor:
    """Resize as Pillow's BICUBIC does on float channels, which overshoots; then clip (Parmar et al. 2022)."""
    return F.interpolate(images, (side, side), mode="bicubic", align_corners=False, antialias=True).clamp(0, 255)


Way = Callable[[Tensor, int], Tensor]
WAYS: dict[str, Way] = {"tf1": tf1, "antialias": antialiased, "pil-bicubic": pil_bicubic}
"""Each takes float pictures (N, C, H, W) in 0..255 and the new side."""


@dataclass(frozen=True)
class Resizer:
    """uint8 (N, C, H, W) -> float32 (N, C, side, side) in 0..255; untouched where they have that side already."""

    way: str
    side: int

    def __call__(self, images: Tensor) -> Tensor:
        """Return resized pictures, float32."""
        x = images.float()
        return x if x.shape[-2:] == (self.side, self.side) else WAYS[self.way](x, self.side)

    def __str__(self) -> str:
        return f"{self.way} {self.side}x{self.side}"


@dataclass(frozen=True)
class AsTheyAre:
    """uint8 (N, C, H, W) -> the same, for a network that resizes, and scales, by itself."""

    way: str = "none"

    def __call__(self, images: Tensor) -> Tensor:
        """Return the pictures unchanged."""
        return images

    def __str__(self) -> str:
        return self.way
