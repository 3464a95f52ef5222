"""Encoders of pictures: a linear map on a trunk, and networks that combine an encoder with a decoder.

Plain PyTorch. The decoder is any generator. The encoder uses the trunk of a discriminator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.networks.architecture import with_feature_shape

LEAST, MOST = -20.0, 10.0  # log variances: a posterior is kept from the widths at which exp gives 0 or infinity


@dataclass(frozen=True)
class DiagonalGaussian:
    """N normal distributions with independent coordinates: `mean` and `log_variance`, each (N, K)."""

    mean: Tensor
    log_variance: Tensor

    def draw(self) -> Tensor:
        """Return one draw from each, (N, K): mean + sigma eps (reparameterized; Kingma and Welling 2014, eq. 4)."""
        return self.mean + (self.log_variance / 2).exp() * torch.randn_like(self.mean)

    def kl(self) -> Tensor:
        """Return KL(q || N(0, 1)) in nats, (N,): sum (mean^2 + sigma^2 - 1 - log sigma^2) / 2 (eq. 10, appendix B)."""
        mean, log_variance = self.mean.float(), self.log_variance.float()
        return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2


class Encoder(nn.Module):
    """Pictures (N, *shape) -> (N, outputs): a trunk, and one linear map over its whole feature map."""

    def __init__(self, trunk: Any, outputs: int) -> None:
        super().__init__()
        self.trunk = with_feature_shape(trunk)
        self.linear = nn.Linear(prod(trunk.feature_shape), outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, outputs) for images (N, *shape)."""
        return self.linear(self.trunk(images).flatten(1))


class EncoderDecoder(nn.Module, ABC):
    """An encoder and a decoder that one player trains. Called with pictures, it returns their reconstructions."""

    def __init__(self, encoder: Encoder, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    @abstractmethod
    def code(self, images: Tensor) -> Tensor:
        """Return the deterministic code of each picture (N, *shape): (N, code_dim)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the reconstructions (N, *shape) of images."""
        return self.decoder(self.code(images))


class StandardizedCode(EncoderDecoder):
    """Codes with mean 0 and variance 1 in each coordinate, over the batch (Ioffe and Szegedy 2015, without scale).

    Nothing else keeps an autoencoder's codes near N(0, 1). Without this, a draw from N(0, 1) would not have their
    scale.
    """

    def __init__(self, trunk: Any, decoder: nn.Module, code_dim: int) -> None:
        super().__init__(Encoder(trunk, code_dim), decoder)
        self.standardize = nn.BatchNorm1d(code_dim, affine=False)

    def code(self, images: Tensor) -> Tensor:
        """Return the standardized codes (N, code_dim) of images."""
        return self.standardize(self.encoder(images))


class GaussianCode(EncoderDecoder):
    """A distribution of codes for each picture, q(z|x) = N(mean, sigma^2): Kingma and Welling 2014, eq. 9."""

    def __init__(self, trunk: Any, decoder: nn.Module, code_dim: int) -> None:
        super().__init__(Encoder(trunk, 2 * code_dim), decoder)

    def posterior(self, images: Tensor) -> DiagonalGaussian:
        """Return the distribution of codes of each image. Log variances are clamped to avoid overflow."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return DiagonalGaussian(mean, log_variance.clamp(LEAST, MOST))

    def code(self, images: Tensor) -> Tensor:
        """Return the mean codes (N, code_dim) of images."""
        return self.posterior(images).mean
