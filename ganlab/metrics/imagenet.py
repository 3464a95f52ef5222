"""The extractor that comes with pip: EfficientNet-Lite0, trained on ImageNet. For pictures of any kind."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ganlab.metrics.efficientnet import CLASSES, DIM, Lite0, weights_file
from ganlab.metrics.features import Extractor, digest_of
from ganlab.metrics.resizers import Resizer

SIDE = 128
BATCH = 16  # what a core's cache holds: half as fast again as 64
MEAN, SCALE = 127.0, 128.0  # of levels 0..255, as the weights were trained (not ImageNet's mean and deviation)


class ImageNet(Extractor):
    """1,280 pooled features and 1,000 class logits of pictures resized to 128 x 128.

    `UnavailableError` if the weights are not installed.
    """

    def __init__(self, weights: Path | None = None, side: int = SIDE) -> None:
        path = weights or weights_file()
        super().__init__("imagenet", DIM, digest_of(path), Resizer("antialias", side), False, CLASSES, BATCH)
        self.protocol["normalization"] = f"(x - {MEAN:g}) / {SCALE:g}"
        self.network = Lite0(path)
        self.frozen()

    def features_and_logits(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(normalized(prepared))


def normalized(levels: Tensor) -> Tensor:
    """Levels 0..255 -> what the network takes."""
    return (levels - MEAN) / SCALE
