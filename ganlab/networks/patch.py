"""Discriminators that judge every patch of a picture by itself (Isola et al. 2017, section 3.2), at one or more scales.

Plain PyTorch. How much of the picture one logit sees is a setting, in pixels; how many layers that takes follows.
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
    """The side, in pixels, of what one output sees: from the last layer to the first, r <- (r - 1) stride + kernel.

    >>> receptive_field(((4, 2), (4, 2), (4, 2), (4, 1), (4, 1)))
    70
    """
    side = 1
    for kernel, stride in reversed(plan):
        side = (side - 1) * stride + kernel
    return side


def strided(halvings: int) -> Plan:
    """So many convolutions that halve the side, then two that do not: appendix 6.1.2 of the paper."""
    return ((4, 2),) * halvings + ((4, 1),) * 2


PLANS = {receptive_field(plan): plan for plan in (((1, 1),) * 3, *map(strided, range(1, 6)))}
"""Receptive field in pixels -> layers: 1 (each pixel by itself), 16, 34, 70, 142, 286."""


def outputs(side: int, plan: Plan) -> int:
    """How many logits a side of so many pixels gets; less than one where it is too small."""
    for kernel, stride in plan:
        side = (side + 2 * padding(kernel) - kernel) // stride + 1
    return side


def padding(kernel: int) -> int:
    """Return the padding of a convolution with that kernel."""
    return 1 if kernel > 1 else 0


def half(images: Tensor) -> Tensor:
    """Half the side, as Wang et al. 2018 (pix2pixHD) make their coarser pictures: nothing beyond the border counts."""
    return F.avg_pool2d(images, 3, 2, 1, count_include_pad=False)


def checked_plan(patch: int, side: int, scales: int) -> Plan:
    """The layers for that receptive field. `UserError` where there are none, or the smallest picture is too small."""
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
    """Images (N, channels, side, side) -> logits (N, 1, h, w), one a patch."""

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
    """Images (N, *shape) -> logits (N, 1, h, w) of each scale, the finest first; `feature_shape` is the finest's.

    `patch`: the side of what one logit sees, in pixels: 1, 16, 34, 70, 142 or 286; it may be more than the picture.
    `scales`: that many discriminators, each for pictures of half the side of those before (Wang et al. 2018, section
    3.2 has 2). `width`: channels of the first layer; they double up to `limit` times. The first and the last layer are
    not normalized. `UserError` for any other patch, or pictures too small for its layers.
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
        self.feature_shape = (1, outputs(side, plan), outputs(side, plan))
        self.scales = nn.ModuleList(Patches(shape[0], plan, width, limit, norm) for _ in range(scales))
        initialize(self, norm)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return each scale's logits (N, 1, h, w), the finest first."""
        logits = []
        for number, patches in enumerate(self.scales):
            images = half(images) if number else images
            logits.append(patches(images))
        return logits
