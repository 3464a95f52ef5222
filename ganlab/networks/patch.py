"""Discriminators of image patches (Isola et al. 2017, section 3.2), at one or more scales.

Plain PyTorch. The receptive field of a logit, in pixels, is a setting that determines the number of layers.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.config.ranges import ImageShape, PositiveInt, Width
from ganlab.errors import UserError
from ganlab.networks.blocks import SLOPE, InstanceNorm, Normalization, image_side, widths
from ganlab.networks.dcgan import initialize

Plan = tuple[tuple[int, int], ...]
"""(kernel, stride) of each convolution in turn."""


def receptive_field(plan: Plan) -> int:
    """Return one output's receptive field in pixels: from the last layer to the first, r <- (r - 1) stride + kernel.

    >>> receptive_field(((4, 2), (4, 2), (4, 2), (4, 1), (4, 1)))
    70
    """
    side = 1
    for kernel, stride in reversed(plan):
        side = (side - 1) * stride + kernel
    return side


def strided(halvings: int) -> Plan:
    """Return `halvings` convolutions of stride 2, then two of stride 1: appendix 6.1.2 of the paper."""
    return ((4, 2),) * halvings + ((4, 1),) * 2


PLANS = {receptive_field(plan): plan for plan in (((1, 1),) * 3, *map(strided, range(1, 6)))}
"""Receptive field in pixels -> layers: 1 (a single pixel), 16, 34, 70, 142, 286."""


def outputs(side: int, plan: Plan) -> int:
    """Return the number of logits along a side of this many pixels; less than one if it is too small."""
    for kernel, stride in plan:
        side = (side + 2 * padding(kernel) - kernel) // stride + 1
    return side


def padding(kernel: int) -> int:
    """Return the padding of a convolution with that kernel."""
    return 1 if kernel > 1 else 0


def half(images: Tensor) -> Tensor:
    """Halve the side as Wang et al. 2018 (pix2pixHD) do: averages at the border exclude the padding."""
    return F.avg_pool2d(images, 3, 2, 1, count_include_pad=False)


def checked_plan(patch: int, side: int, scales: int) -> Plan:
    """Return the layers for this receptive field. Raise `UserError` if there are none, or if pictures are too small."""
    if patch not in PLANS:
        raise UserError(f"`patch` must be one of {', '.join(map(str, PLANS))} pixels, got {patch}")
    if scales < 1:
        raise UserError(f"`scales` must be at least 1, got {scales}")
    smallest = side >> (scales - 1)
    if outputs(smallest, PLANS[patch]) < 1:
        fits = [field for field, plan in PLANS.items() if outputs(smallest, plan) >= 1]
        raise UserError(f"`patch`={patch} has too many layers for {smallest} pixels: pass at most {max(fits)}")
    return PLANS[patch]


class Patches(nn.Sequential):
    """Images (N, channels, side, side) -> logits (N, 1, h, w), one for each patch."""

    def __init__(self, channels: int, plan: Plan, width: int, limit: int, norm: Normalization) -> None:
        sizes = [channels, *widths(width, len(plan) - 1, limit)]
        layers: list[nn.Module] = []
        for number, ((inputs, outputs), (kernel, stride)) in enumerate(zip(pairwise(sizes), plan[:-1], strict=True)):
            normed = number > 0
            bias = not (normed and norm.centers)
            layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding(kernel), bias=bias))
            layers += [norm(outputs)] if normed else []
            layers.append(nn.LeakyReLU(SLOPE))
        kernel, stride = plan[-1]
        super().__init__(*layers, nn.Conv2d(sizes[-1], 1, kernel, stride, padding(kernel)))


class Discriminator(nn.Module):
    """Images (N, *shape) -> logits (N, 1, h, w) of each scale, the finest first.

    patch: the side of a logit's receptive field, in pixels: 1, 16, 34, 70, 142 or 286. It may exceed the picture.
    scales: the number of discriminators; each judges pictures of half the side of the one before (Wang et al. 2018,
    section 3.2 has 2). width: channels of the first layer. They double up to `limit` times. The first and the last
    layer are not normalized. Raise `UserError` for any other patch, or if pictures are too small for its layers.
    """

    def __init__(
        self,
        shape: ImageShape,
        patch: Literal[1, 16, 34, 70, 142, 286] = 70,
        scales: PositiveInt = 1,
        width: Width = 64,
        limit: Width = 8,
        normalization: Normalization | None = None,
    ) -> None:
        super().__init__()
        norm = normalization or InstanceNorm()
        side = image_side(shape)
        plan = checked_plan(patch, side, scales)
        self.image_shape = tuple(shape)  # of input picture and output together, in PatchGAN
        self.scales = nn.ModuleList(Patches(shape[0], plan, width, limit, norm) for _ in range(scales))
        initialize(self, norm)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return each scale's logits (N, 1, h, w), the finest first."""
        logits = []
        for number, patches in enumerate(self.scales):
            images = half(images) if number else images
            logits.append(patches(images))
        return logits
