"""Instance noise. Plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.config.ranges import NonNegative, PositiveInt
from ganlab.errors import UserError
from ganlab.perturbations.base import Perturbation


class InstanceNoise(Perturbation):
    """x + N(0, sigma^2).

    The noise makes two separated distributions overlap again: Sønderby et al. 2017, Arjovsky and Bottou 2017 (section
    3).

    sigma: standard deviation in the units of the images, [-1, 1]. It falls linearly with the images seen to 0 at
    `until`, or stays constant if `until` is None. Two supports at distance d are perfectly separable for sigma <= d /
    8, and no longer for sigma >= d / 4.
    """

    sigma: Tensor

    def __init__(self, sigma: NonNegative, until: PositiveInt | None = None) -> None:
        super().__init__()
        if sigma < 0:
            raise UserError(f"`sigma` must be at least 0, got {sigma}")
        if until is not None and until < 1:
            raise UserError(f"`until` must be at least 1 image, or null for noise that stays, got {until}")
        self.first, self.until = sigma, until
        self.register_buffer("sigma", torch.tensor(float(sigma)))

    def forward(self, images: Tensor) -> Tensor:
        """Return images or points with normal noise added."""
        return images + self.sigma * torch.randn_like(images)

    @torch.no_grad()
    def advance(self, images_seen: int, real: Tensor, fake: Tensor) -> None:
        """Lower the noise to its value after so many images."""
        left = 1.0 if self.until is None else max(0.0, 1 - images_seen / self.until)
        self.sigma.fill_(self.first * left)
