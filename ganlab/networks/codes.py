"""Codes within a latent, and a discriminator that estimates them: Chen et al. 2016 (InfoGAN). Plain PyTorch."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.data.batch import Fake
from ganlab.errors import UserError
from ganlab.networks.heads import Terms
from ganlab.networks.logits import RealismLogit
from ganlab.networks.scales import at_each_scale


class Parts(NamedTuple):
    """The sizes of a latent's parts: noise, the categories of a categorical code, continuous codes."""

    noise: int
    categories: int
    continuous: int

    def split(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split standard normal latents into noise, the category (N,) and the continuous codes, uniform in [-1, 1].

        The category is the index of the largest of its normals, so all are equally likely. A continuous code is 2
        Phi(z) - 1.
        """
        noise, category, continuous = latent.split(self, 1)
        return noise, category.argmax(1), torch.erf(continuous / 2**0.5)


class CodedGenerator(nn.Module):
    """A generator whose code is the noise, the one-hot category and the continuous codes of a latent."""

    def __init__(self, network: nn.Module, parts: Parts) -> None:
        super().__init__()
        self.network = network
        self.parts = parts

    def forward(self, latent: Tensor) -> Tensor:
        """Return images (N, *shape) for latents (N, sum of the parts)."""
        noise, category, continuous = self.parts.split(latent)
        chosen = category[:, None] == torch.arange(self.parts.categories, device=latent.device)
        return self.network(torch.cat([noise, chosen.to(noise), continuous], 1))


class CodeReader(nn.Module):
    """A trunk with a linear head that tells real from generated, and one that estimates the codes.

    Raise `UserError` for a trunk that judges several images together, because each image has its own codes.
    """

    def __init__(self, trunk: Any, parts: Parts, pack: int = 1) -> None:
        super().__init__()
        if pack > 1:
            raise UserError(f"`pack` must be 1 with codes, got {pack}: they are read off each image by itself")
        self.trunk = trunk
        self.parts = parts
        self.realism = at_each_scale(trunk, RealismLogit)
        self.codes = nn.Linear(prod(trunk.feature_shape), parts.categories + parts.continuous)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N,) of images, or (N, S) of a trunk of S scales."""
        return self.realism(self.trunk(images))

    def read(self, fake: Fake) -> tuple[Tensor, Terms]:
        """Return `forward` of generated images, and -log q(code | image) in nats of both kinds of codes, (N,).

        q is categorical, and normal with variance 1 around the estimate (up to a constant). The mean of -log q is an
        upper bound of the conditional entropy, and the entropy of the codes is constant (eq. 4, 5).
        """
        features = self.trunk(fake.images)
        _, category, continuous = self.parts.split(fake.latent)
        logits, means = self.codes(features.flatten(1)).float().split(self.parts[1:], 1)
        surprise = {
            "category": F.cross_entropy(logits, category, reduction="none"),
            "continuous": (means - continuous).square().sum(1) / 2,
        }
        return self.realism(features), surprise
