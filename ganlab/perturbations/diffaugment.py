"""Differentiable augmentation. Plain torch."""

from __future__ import annotations

from torch import Tensor

from ganlab.perturbations.base import Perturbation, as_pictures
from ganlab.perturbations.pictures import brighten, contrast, erase, saturate, shift, uniform, whole

SHIFT = 1 / 8  # of the picture's side, at most
CUTOUT = 1 / 2  # of the picture's side


class DiffAugment(Perturbation):
    """Color changes, translation and cutout on every picture, with one draw for each sample: Zhao et al. 2020.

    color: brightness plus U[-0.5, 0.5], saturation times U[0, 2], contrast times U[0.5, 1.5].
    translation: a shift by up to 1/8 of the side. Uncovered pixels become grey.
    cutout: a grey square of half the side, at a random position.
    Raise `UserError` for points.
    """

    def __init__(self, color: bool = True, translation: bool = True, cutout: bool = True) -> None:
        super().__init__()
        steps = ((color, recolor), (translation, translate), (cutout, cut))
        self.steps = [step for wanted, step in steps if wanted]

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape, changed by all chosen operations."""
        images = as_pictures(images, "diffaugment")
        for step in self.steps:
            images = step(images)
        return images

    def advance(self, images_seen: int, real: Tensor, fake: Tensor) -> None:
        """Do nothing: the strength is constant."""


def recolor(images: Tensor) -> Tensor:
    """Change each image's brightness, saturation and contrast at random."""
    images = brighten(images, uniform(images, -0.5, 0.5))
    images = saturate(images, uniform(images, 0, 2))
    return contrast(images, uniform(images, 0.5, 1.5))


def translate(images: Tensor) -> Tensor:
    """Shift each image by a random number of pixels."""
    tall, wide = (rounded(size * SHIFT) for size in images.shape[2:])
    return shift(images, whole(images, -tall, tall), whole(images, -wide, wide))


def cut(images: Tensor) -> Tensor:
    """Replace a square of each image by grey. Its center may be any pixel, so a part may lie outside."""
    tall, wide = (rounded(size * CUTOUT) for size in images.shape[2:])
    top, left = (
        whole(images, 0, size - cutout % 2) - cutout // 2
        for size, cutout in zip(images.shape[2:], (tall, wide), strict=True)
    )
    return erase(images, top, left, tall, wide)


def rounded(pixels: float) -> int:
    """Return the nearest whole number of pixels, with halves rounded up as in the paper's code."""
    return int(pixels + 0.5)
