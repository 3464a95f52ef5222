"""The Inception network of published FIDs, as ported by torch-fidelity, made faster with equal features."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ganlab.metrics.features import Extractor, digest_of
from ganlab.metrics.resizers import Resizer
from ganlab.networks.weights import Weights, checked

INCEPTION = Weights(
    "Inception",
    "weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "6726825d",
)
SIDE, DIM, CLASSES = 299, 2048, 1008
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Inception(Extractor):
    """torch-fidelity's port of the FID InceptionV3: 2048 pooled features, logits without bias.

    `weights`: its weight file; by default the one in torch's hub cache. Raise `UnavailableError` if there is none.
    Batch normalization is folded into the convolutions and pictures lie channels last, which changes features by
    rounding only. `precision`: bfloat16 is much faster where the processor multiplies in it, and not the same:
    `benchmarks/fid.py` measures by how much the FID moves, and the protocol says that it was used.
    """

    def __init__(self, weights: Path | None = None, resizer: str = "tf1", precision: str = "float32") -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        path = checked(weights or INCEPTION.cached())
        super().__init__("inception", DIM, digest_of(path), Resizer(resizer, SIDE), True, CLASSES, 32)
        net = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(path))
        self.classify = net.fc.weight
        self.arithmetic = PRECISIONS[precision]
        self.body = nn.Sequential(*(part for name, part in net.named_children() if name not in ("AvgPool", "fc")))
        _fold(self.body)
        self.body.to(self.arithmetic, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if precision != "float32":
            self.protocol["precision"] = precision
        self.frozen()

    def features_and_logits(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, 2048) and logits (N, 1008) of prepared pictures."""
        x = ((prepared - 128) / 128).to(self.arithmetic, memory_format=torch.channels_last)
        features = F.adaptive_avg_pool2d(self.body(x).float(), 1).flatten(1)
        return features, features @ self.classify.T


def _fold(net: nn.Module) -> None:
    """Replace each convolution and its batch normalization by one convolution, everywhere in `net`."""
    for block in net.modules():
        if type(block).__name__ == "BasicConv2d":
            convolution, normalization = block.get_submodule("conv"), block.get_submodule("bn")
            assert isinstance(convolution, nn.Conv2d) and isinstance(normalization, nn.BatchNorm2d)
            block.conv, block.bn = fuse_conv_bn_eval(convolution, normalization), nn.Identity()
