"""DCGAN (Radford et al. 2016) at any power-of-two side from 16 to 256: a generator and a discriminator trunk.

Plain PyTorch. All layers between the image and a 4 x 4 map are 4 x 4 convolutions of stride 2.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ganlab.config.ranges import ImageShape, Width
from ganlab.networks.blocks import SLOPE, SMALLEST, BatchNorm, Normalization, halvings, image_side, widths


def initialize(network: nn.Module, norm: Normalization) -> None:
    """Initialize convolutions by the rule of their normalization, with zero bias."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            norm.initialize(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Generator(nn.Module):
    """Code (N, code_dim) -> images (N, *shape) in [-1, 1].

    width: channels at half the side. They double with every halving, up to `limit` times.
    Raise `UserError` if the shape is not square with a power-of-two side of 16 to 256.
    """

    def __init__(
        self,
        shape: ImageShape,
        code_dim: int,
        width: Width = 64,
        limit: Width = 8,
        normalization: Normalization | None = None,
    ) -> None:
        super().__init__()
        norm = normalization or BatchNorm()
        channels = widths(width, halvings(image_side(shape)), limit)[::-1]
        layers: list[nn.Module] = [nn.Unflatten(1, (code_dim, 1, 1))]
        layers += [
            nn.ConvTranspose2d(code_dim, channels[0], SMALLEST, bias=not norm.centers),
            norm(channels[0]),
            nn.ReLU(),
        ]
        for inputs, outputs in pairwise(channels):
            up = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=not norm.centers)
            layers += [up, norm(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(channels[-1], shape[0], 4, 2, 1), nn.Tanh())
        initialize(self, norm)

    def forward(self, code: Tensor) -> Tensor:
        """Return images (N, *shape) of codes (N, code_dim)."""
        return self.layers(code)


class Trunk(nn.Module):
    """Images (N, *shape) -> features (N, *feature_shape), 4 x 4 pixels. The first layer is not normalized.

    width: channels at half the side. They double with every halving, up to `limit` times. With a gradient penalty use
    `NoNorm` or `LayerNorm`: with batch normalization an image's gradient depends on the rest of its batch.
    """

    def __init__(
        self, shape: ImageShape, width: Width = 64, limit: Width = 8, normalization: Normalization | None = None
    ) -> None:
        super().__init__()
        norm = normalization or BatchNorm()
        channels = widths(width, halvings(image_side(shape)), limit)
        layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for inputs, outputs in pairwise(channels):
            down = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not norm.centers)
            layers += [down, norm(outputs), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers)
        self.feature_shape = (channels[-1], SMALLEST, SMALLEST)
        initialize(self, norm)

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, *feature_shape) of images (N, *shape)."""
        return self.layers(images)
