"""Augmentation with a scheduled strength. Plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.errors import UserError
from ganlab.perturbations.adaptive import apply_some, operations
from ganlab.perturbations.base import Perturbation, as_pictures
from ganlab.schedules import Schedule, value


class ScheduledAugmentation(Perturbation):
    """The operations of adaptive augmentation, each with a scheduled probability for each sample.

    p: a schedule of the images seen, or a constant. Huang et al. 2024 (R3GAN) let p rise from 0 along half a cosine, to
    0.55 on CIFAR-10 and 0.3 on FFHQ.
    Raise `UserError` for points, for p outside [0, 1], and if `rotation` meets pictures that are not square.
    """

    p: Tensor

    def __init__(
        self,
        p: float | Schedule = 0.5,
        flip: bool = True,
        rotation: bool = True,
        translation: bool = True,
        scale: bool = True,
        color: bool = True,
        cutout: bool = True,
    ) -> None:
        super().__init__()
        self.plan = p
        self.operations = operations(flip, rotation, translation, scale, color, cutout)
        ends = [value(p, 0), value(p, float("inf"))]
        if not all(0 <= end <= 1 for end in ends):
            raise UserError(f"`p` must be a probability from 0 to 1, got {ends[0]} to {ends[1]}")
        self.register_buffer("p", torch.tensor(ends[0]))

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape, each operation applied with probability p."""
        return apply_some(self.operations, as_pictures(images, "scheduled"), self.p)

    def advance(self, images_seen: int, real: Tensor, fake: Tensor) -> None:
        """Set p to the schedule's value after so many images."""
        self.p.fill_(value(self.plan, images_seen))
