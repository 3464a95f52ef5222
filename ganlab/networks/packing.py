"""Packs of samples that the discriminator judges together. Plain PyTorch."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ganlab.errors import UserError
from ganlab.networks.scales import feature_scales


class Packed(nn.Module):
    """A trunk on packs of `members` samples, all real or all generated: PacGAN, Lin et al. 2018, section 2.

    (N, C, H, W) -> (N / m, m C, H, W), points (N, D) -> (N / m, m D); features of packs (N / m, *feature_shape). The
    trunk must be made for the packs' shape. A pack shows a lack of variety that no single sample shows. Raise
    `UserError` if the samples do not divide into packs.
    """

    def __init__(self, trunk: Any, members: int) -> None:
        super().__init__()
        if members < 1:
            raise UserError(f"`pack` must be at least 1 sample, got {members}")
        self.trunk = trunk
        self.members = members
        self.feature_shape = getattr(trunk, "feature_shape", None)
        self.feature_scales = feature_scales(trunk)

    def forward(self, images: Tensor) -> Tensor:
        """Return the trunk's features of packs. Raise `UserError` if the images do not divide into packs."""
        if len(images) % self.members:
            raise UserError(
                f"`pack` must divide the {len(images)} samples of a pass, got {self.members}: change pack or batch_size"
            )
        return self.trunk(images.unflatten(0, (-1, self.members)).flatten(1, 2))
