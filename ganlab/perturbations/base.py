"""What every perturbation promises. Plain torch."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ganlab.errors import UserError


class Perturbation(nn.Module, ABC):
    """Changes every image that the discriminator sees: reals and generated alike, in both players' turns.

    In evaluation mode too, because the discriminator has learned nothing else. What changes while training goes on
    is in buffers, so that a checkpoint has it.
    """

    listens_every: int | None = None
    """On every how many iterations `advance` hears logits; None: never."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] or points (N, D) -> the same shape, not bound to [-1, 1].

        Differentiable twice in the images (gradient penalties go through it), with fresh random numbers each time.
        """

    @abstractmethod
    def advance(self, images_seen: int, real: Tensor, fake: Tensor) -> None:
        """What an iteration leaves behind: images seen in all, and the logits of its last real and generated batch.

        real, fake: (N,), drawn in pairs; empty, (0,), on iterations on which nobody listens.
        """


def as_pictures(images: Tensor, name: str) -> Tensor:
    """Pictures in float32 or better: half precision is too little for places between pixels. `UserError` for points."""
    if images.dim() != 4:
        raise UserError(
            f"`perturbation={name}` changes pictures (N, channels, height, width), got shape {tuple(images.shape)}: "
            "points take perturbation=instance_noise"
        )
    return images.to(torch.promote_types(images.dtype, torch.float32))
