"""DCGAN (Radford et al. 2016) at any power-of-two side from 16 to 256: a generator and a discriminator trunk.

Plain PyTorch. All layers between the image and a 4 x 4 map are 4 x 4 convolutions of stride 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, count, pairwise

from torch import Tensor, nn

from ganlab.config.ranges import ImageShape, PositiveInt, Width
from ganlab.networks.attention import attention_after
from ganlab.networks.blocks import SLOPE, SMALLEST, BatchNorm, Normalization, halvings, image_side, widths


def initialize(network: nn.Module, norm: Normalization) -> None:
    """Initialize convolutions by the rule of their normalization, with zero bias."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            norm.initialize(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def stacked(stages: Mapping[int, Sequence[nn.Module]], attention: Mapping[int, nn.Sequential]) -> nn.Sequential:
    """Return the layers of all stages, and after each stage the attention of its map, if it has any.

    Both are by the side of the map. Only the stages' layers are numbered, so each has the same name in checkpoints with
    and without attention.
    """
    layers, number = nn.Sequential(), count()
    for side, stage in stages.items():
        for layer in stage:
            layers.add_module(str(next(number)), layer)
        if attention.get(side):
            layers.add_module(f"attention_{side}", attention[side])
    return layers


class Generator(nn.Module):
    """Code (N, code_dim) -> images (N, *shape) in [-1, 1].

    width: channels at half the side. They double with every halving, up to `limit` times. attention: sides of the maps
    with self-attention, of 4 to half the side. word_attention: of those that attend to the caption's words, whose
    states have `word_dim` numbers. Attention follows the rectifier. The paper has neither.
    Raise `UserError` if the shape is not square with a power-of-two side of 16 to 256, or for a map that does not
    exist.
    """

    def __init__(
        self,
        shape: ImageShape,
        code_dim: int,
        width: Width = 64,
        limit: Width = 8,
        normalization: Normalization | None = None,
        attention: Sequence[PositiveInt] = (),
        word_attention: Sequence[PositiveInt] = (),
        word_dim: PositiveInt = 128,
    ) -> None:
        super().__init__()
        norm, side = normalization or BatchNorm(), image_side(shape)
        channels = widths(width, halvings(side), limit)[::-1]
        maps = {SMALLEST << level: outputs for level, outputs in enumerate(channels)}
        first = nn.ConvTranspose2d(code_dim, channels[0], SMALLEST, bias=not norm.centers)
        stages = {SMALLEST: [nn.Unflatten(1, (code_dim, 1, 1)), first, norm(channels[0]), nn.ReLU()]}
        for (_, inputs), (finer, outputs) in pairwise(maps.items()):
            up = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=not norm.centers)
            stages[finer] = [up, norm(outputs), nn.ReLU()]
        stages[side] = [nn.ConvTranspose2d(channels[-1], shape[0], 4, 2, 1), nn.Tanh()]
        for layer in chain(*stages.values()):
            initialize(layer, norm)
        self.layers = stacked(stages, attention_after(maps, attention, word_attention, word_dim))

    def forward(self, code: Tensor) -> Tensor:
        """Return images (N, *shape) of codes (N, code_dim)."""
        return self.layers(code)


class Trunk(nn.Module):
    """Images (N, *shape) -> features (N, *feature_shape), 4 x 4 pixels. The first layer is not normalized.

    width: channels at half the side. They double with every halving, up to `limit` times. attention: as in the
    generator. With a gradient penalty use `NoNorm` or `LayerNorm`: with batch normalization an image's gradient depends
    on the rest of its batch.
    """

    def __init__(
        self,
        shape: ImageShape,
        width: Width = 64,
        limit: Width = 8,
        normalization: Normalization | None = None,
        attention: Sequence[PositiveInt] = (),
    ) -> None:
        super().__init__()
        norm, side = normalization or BatchNorm(), image_side(shape)
        channels = widths(width, halvings(side), limit)
        maps = {side >> level: outputs for level, outputs in enumerate(channels, start=1)}
        stages = {side // 2: [nn.Conv2d(shape[0], width, 4, 2, 1), nn.LeakyReLU(SLOPE)]}
        for (_, inputs), (coarser, outputs) in pairwise(maps.items()):
            down = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not norm.centers)
            stages[coarser] = [down, norm(outputs), nn.LeakyReLU(SLOPE)]
        for layer in chain(*stages.values()):
            initialize(layer, norm)
        self.layers = stacked(stages, attention_after(maps, attention))
        self.feature_shape = (channels[-1], SMALLEST, SMALLEST)

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, *feature_shape) of images (N, *shape)."""
        return self.layers(images)
