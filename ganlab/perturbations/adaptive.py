"""Adaptive discriminator augmentation. Plain torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import torch
from torch import Tensor

from ganlab.config.ranges import PositiveInt, Range
from ganlab.data.batch import at_least_float32
from ganlab.errors import UserError
from ganlab.perturbations import pictures
from ganlab.perturbations.base import Perturbation, as_pictures
from ganlab.perturbations.pictures import normal, uniform, whole
from ganlab.processes import average_across_processes


class AdaptiveAugmentation(Perturbation):
    """Operations on each sample, each with a probability p that increases while the discriminator overfits.

    Every `every` iterations p <- p + sign(r_t - target) images / speed, clipped to [0, 1]. `images` counts the images
    seen since the last update, so p takes `speed` images from 0 to 1 (Karras et al. 2020, section 3: ADA, target 0.6,
    500,000 images).

    r_t = E[sign(D(real) - D(fake))], in pairs, over one batch of every process. It is 0 if the discriminator cannot
    distinguish them. It is 1 if every real picture has a larger logit than the generated one in its pair. The paper's
    r_t in eq. 1 is E[sign(D(real))]. It requires that a logit of 0 means "equally likely real or generated", which
    holds only for the logistic and the hinge loss. A difference of logits works for every objective.

    The same discriminator has a larger r_t in pairs. If its logits are N(m, 1) for real and N(-m, 1) for generated
    pictures, the paper's r_t of 0.6 is 0.766 in pairs, and 0.6 in pairs is 0.448 in the paper's. So the target 0.6
    augments more than the paper's 0.6 does. `target` = 0.77 is close to the paper.

    The operations are the paper's pixel blitting, scale, the first three color operations (brightness, contrast,
    saturation) and cutout, with the strengths of its appendix B. The operations of the group `color` act independently.
    Raise `UserError` for points, and if `rotation` meets pictures that are not square.
    """

    p: Tensor
    heard: Tensor

    def __init__(
        self,
        flip: bool = True,
        rotation: bool = True,
        translation: bool = True,
        scale: bool = True,
        color: bool = True,
        cutout: bool = True,
        target: Annotated[float, Range(least=-1, most=1)] = 0.6,
        speed: PositiveInt = 500_000,
        every: PositiveInt = 4,
    ) -> None:
        super().__init__()
        if not -1 < target < 1:
            raise UserError(f"`target` must be between -1 and 1, got {target}: it is a mean of signs")
        if speed < 1 or every < 1:
            raise UserError(f"`speed` must be at least 1 image and `every` 1 iteration, got {speed} and {every}")
        self.operations = operations(flip, rotation, translation, scale, color, cutout)
        self.target, self.speed, self.listens_every = target, speed, every
        self.register_buffer("p", torch.tensor(0.0))
        self.register_buffer("heard", torch.tensor(0))  # images seen when the logits were last heard

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape, each operation applied with probability p."""
        return apply_some(self.operations, as_pictures(images, "adaptive"), self.p)

    @torch.no_grad()
    def advance(self, images_seen: int, real: Tensor, fake: Tensor) -> None:
        """Update p from the logits, if any are given."""
        if not len(real):
            return
        r = (at_least_float32(real) - at_least_float32(fake)).sign().mean()
        average_across_processes([r])
        self.p.add_((r - self.target).sign() * (images_seen - self.heard) / self.speed).clamp_(0, 1)
        self.heard.fill_(images_seen)


def flip_some(images: Tensor) -> Tensor:
    """Mirror half of the images."""
    return pictures.mirror(images, whole(images, 0, 1) == 1)


def turn_any(images: Tensor) -> Tensor:
    """Turn each image by a random number of right angles."""
    if images.shape[2] != images.shape[3]:
        raise UserError(f"`rotation` turns square pictures, got {tuple(images.shape[1:])}: pass rotation=false")
    return pictures.turn(images, whole(images, 0, 3))


def shift_any(images: Tensor) -> Tensor:
    """Shift each image by up to 1/8 of the side."""
    down, right = ((size * uniform(images, -1 / 8, 1 / 8)).round().long() for size in images.shape[2:])
    return pictures.shift_mirrored(images, down, right)


def zoom_any(images: Tensor) -> Tensor:
    """Scale each image by a random factor."""
    return pictures.zoom(images, normal(images, 0.2).exp2())


def brighten_any(images: Tensor) -> Tensor:
    """Change each image's brightness at random."""
    return pictures.brighten(images, normal(images, 0.2))


def stretch_any(images: Tensor) -> Tensor:
    """Change each image's contrast at random."""
    return pictures.stretch(images, normal(images, 0.5).exp2())


def saturate_any(images: Tensor) -> Tensor:
    """Change each image's saturation at random."""
    return pictures.saturate(images, normal(images, 1.0).exp2())


def cut_any(images: Tensor) -> Tensor:
    """Replace a square of half the side, centered anywhere in the image, by grey. Pixel i is at (i + 1/2) / size."""
    tall, wide = (size / 2 for size in images.shape[2:])
    top, left = (size * uniform(images, 0, 1) - size / 4 - 1 / 2 for size in images.shape[2:])
    return pictures.erase(images, top, left, tall, wide)


Operation = Callable[[Tensor], Tensor]


def operations(
    flip: bool, rotation: bool, translation: bool, scale: bool, color: bool, cutout: bool
) -> list[Operation]:
    """Return the selected operations in the paper's order."""
    blits = ((flip, flip_some), (rotation, turn_any), (translation, shift_any), (scale, zoom_any))
    colors = ((color, brighten_any), (color, stretch_any), (color, saturate_any))
    return [operation for wanted, operation in (*blits, *colors, (cutout, cut_any)) if wanted]


def apply_some(operations: Iterable[Operation], images: Tensor, p: Tensor) -> Tensor:
    """Apply each operation to each picture with probability p."""
    for operation in operations:
        chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < p
        images = torch.where(chosen, operation(images), images)
    return images
