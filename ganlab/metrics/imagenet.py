"""The extractor that comes with pip: EfficientNet-Lite0, trained on ImageNet. For pictures of any kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganlab.metrics.features import Extractor, digest_of
from ganlab.metrics.resizers import Resizer
from ganlab.networks.efficientnet import CLASSES, DIM, Lite0, weights_file

SIDE = 128
BATCH = 16  # what a core's cache holds: half as fast again as 64
MEAN, SCALE = 127.0, 128.0  # of levels 0..255, as the weights were trained (not ImageNet's mean and deviation)
DITHER, GRIDS = 5.0, (32, 64, 128)


class ImageNet(Extractor):
    """1,280 pooled features and 1,000 class logits of pictures resized to 128 x 128.

    The same fixed noise is added to every picture. Drawings have areas of exactly one colour, which no photograph has:
    without it, noise of 3 levels that nobody sees moves features farther than a change of class does.
    `UnavailableError` if the weights are not installed.
    """

    noise: Tensor

    def __init__(self, weights: Path | None = None, side: int = SIDE) -> None:
        path = weights or weights_file()
        super().__init__("imagenet", DIM, digest_of(path), Resizer("antialias", side), False, CLASSES, BATCH)
        grids = ", ".join(str(grid) for grid in GRIDS)
        self.protocol["normalization"] = f"(x + noise - {MEAN:g}) / {SCALE:g}, noise of {DITHER:g} at {grids}"
        self.network = Lite0(path)
        self.register_buffer("noise", fixed_noise(side), persistent=False)
        self.frozen()

    def features_and_logits(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, 1280) and logits (N, 1000) of prepared pictures."""
        return self.network(self.normalized(prepared))

    def stages(self, prepared: Tensor) -> list[Tensor]:
        """Return the feature maps of prepared pictures at strides 4, 8, 16 and 32."""
        return self.network.stages(self.normalized(prepared))

    def normalized(self, prepared: Tensor) -> Tensor:
        """Return levels 0..255 as the network takes them."""
        return (prepared + self.noise - MEAN) / SCALE


def fixed_noise(side: int) -> Tensor:
    """Return (1, 3, side, side) of levels, always the same: normal noise on three grids, each enlarged to `side`."""
    random = np.random.RandomState(0)  # its stream is frozen, whatever the version of numpy
    grids = [torch.from_numpy(random.standard_normal((1, 3, grid, grid))).float() for grid in GRIDS]
    return DITHER * torch.stack([Resizer("antialias", side)(grid) for grid in grids]).sum(0)
