"""The interface of perturbations. Plain torch."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ganlab.errors import UserError


class Perturbation(nn.Module, ABC):
    """A random change of every image that the discriminator sees: real and generated, in the turns of both players.

    It also acts in evaluation mode, because the discriminator has learned from perturbed images only. Values that
    change during training are buffers, so checkpoints contain them.
    """

    listens_every: int | None = None
    """The number of iterations between two calls of `advance` with logits; None if it never needs logits."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Return perturbed images (N, C, H, W) or points (N, D). Images in [-1, 1] may leave that range.

        The result is twice differentiable in the images, because gradient penalties differentiate it. Each call draws
        new random numbers.
        """

    @abstractmethod
    def advance(self, images_seen: int, real: Tensor, fake: Tensor) -> None:
        """Update the state at the end of an iteration.

        images_seen: the total number of images seen. real, fake: logits (N,) of the last real and generated batch, in
        pairs. They are empty, (0,), on iterations at which no perturbation needs logits.
        """


def as_pictures(images: Tensor, name: str) -> Tensor:
    """Return pictures in at least float32. Raise `UserError` for points.

    Half precision is too coarse for positions between pixels.
    """
    if images.dim() != 4:
        raise UserError(
            f"`perturbation={name}` changes pictures (N, channels, height, width), got shape {tuple(images.shape)}: "
            "points take perturbation=instance_noise"
        )
    return images.to(torch.promote_types(images.dtype, torch.float32))
