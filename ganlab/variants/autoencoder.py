"""Models trained to reconstruct pictures: the plain and the variational autoencoder. One player, no game.

`sample` uses the decoder. The encoder uses the architecture's trunk, without the layers that a recipe puts around a
discriminator's trunk.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import log, pi
from typing import Any

from torch import Tensor, nn

from ganlab.config.ranges import Dim, NonNegative
from ganlab.core.averaging import MovingAverage
from ganlab.core.generative import GenerativeModule, Terms
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition
from ganlab.errors import UserError
from ganlab.networks.architecture import Architecture
from ganlab.networks.encoder import EncoderDecoder, GaussianCode, StandardizedCode
from ganlab.objectives import per_sample

ROUNDING = (2 / 255) ** 2 / 12  # variance of rounding to 8 bits: no pixel is known better than that


class PixelAutoencoder(GenerativeModule, ABC):
    """A player with an encoder and a decoder, trained on the error of each pixel. Abstract."""

    generator: EncoderDecoder
    average: EncoderDecoder

    def __init__(
        self,
        spec: DataSpec,
        network: Architecture,
        coding: Callable[[Any, nn.Module, int], EncoderDecoder],
        generator: Side,
        average: MovingAverage,
        latent_dim: int,
    ) -> None:
        if generator.regularizers:
            name = next(iter(generator.regularizers))
            raise UserError(f"`generator.regularizers.{name}` needs a discriminator, which an autoencoder has not")
        decoder = network.generator(shape=spec.shape, code_dim=latent_dim)
        coder = coding(network.discriminator(shape=spec.shape), decoder, latent_dim)
        super().__init__(spec.unconditional(), {"generator": (coder, generator)}, average, latent_dim)

    @abstractmethod
    def terms(self, images: Tensor) -> Terms:
        """Return the terms that the player minimizes, per sample, for real images in [-1, 1]."""

    def take_turns(self, batch: Batch) -> None:
        """Play the player's turns, each on the whole batch."""
        side = self.sides["generator"]
        for _ in range(side.turns):
            for part in batch.chunk(side.accumulate):
                self.backward_terms("generator", self.terms(part.images), side.accumulate)
            self.step("generator")

    def report(self, batch: Batch) -> dict[str, Tensor]:
        """Return the squared error of the averaged network's reconstructions."""
        return {"reconstruction_error": reconstruction_error(self.average, batch.images.float())}

    def synthesize(self, network: nn.Module, latent: Tensor, condition: Condition) -> Tensor:
        """Return the decoder's images of drawn codes."""
        return network.get_submodule("decoder")(latent)


class Autoencoder(PixelAutoencoder):
    """Codes from which the decoder reconstructs the picture (after Hinton and Salakhutdinov 2006).

    It minimizes the squared error, averaged over a picture's values, range [-1, 1]. Codes are standardized, so a z
    drawn from N(0, 1) has their scale. Their distribution may still differ from N(0, 1).
    """

    def __init__(
        self, spec: DataSpec, network: Architecture, generator: Side, average: MovingAverage, latent_dim: Dim = 128
    ) -> None:
        super().__init__(spec, network, StandardizedCode, generator, average, latent_dim)

    def terms(self, images: Tensor) -> Terms:
        """Return the squared error of the reconstructions."""
        return {"reconstruction": squared_error(self.generator(images), images)}


class VariationalAutoencoder(PixelAutoencoder):
    """The minimizer of -log p(x|z) + beta KL(q(z|x) || N(0, 1)), in nats a picture. Kingma and Welling 2014, eq. 10.

    p(x|z) is normal around the decoded picture with one variance for all values. The optimal variance is the batch's
    mean squared error (Rybkin et al. 2021, section 4.2, the optimal sigma-VAE). With `beta` = 1 the loss is the
    variational bound itself. A larger value brings codes closer to N(0, 1), at the price of detail (Higgins et al.
    2017).
    """

    generator: GaussianCode
    average: GaussianCode

    def __init__(
        self,
        spec: DataSpec,
        network: Architecture,
        generator: Side,
        average: MovingAverage,
        latent_dim: Dim = 128,
        beta: NonNegative = 1.0,
    ) -> None:
        super().__init__(spec, network, GaussianCode, generator, average, latent_dim)
        if beta < 0:
            raise UserError(f"`variant.beta` must be at least 0, got {beta}: 1 is the variational bound")
        self.beta = beta

    def terms(self, images: Tensor) -> Terms:
        """Return -log p(x|z) and the weighted KL divergence, in nats."""
        posterior = self.generator.posterior(images)
        decoded = self.generator.decoder(posterior.draw())
        return {"reconstruction": surprise(decoded, images), "kl": self.beta * posterior.kl()}

    def report(self, batch: Batch) -> dict[str, Tensor]:
        """Return the squared error of reconstructions, and the KL divergence in nats."""
        return {**super().report(batch), "kl": self.average.posterior(batch.images.float()).kl().mean()}


def squared_error(decoded: Tensor, images: Tensor) -> Tensor:
    """Return (N,): the mean over a picture's values of (decoded - image)^2, in float32."""
    return per_sample((decoded.float() - images.float()).square())


def reconstruction_error(network: EncoderDecoder, images: Tensor) -> Tensor:
    """Return the mean squared error of the network's reconstructions, range [-1, 1]: a scalar."""
    return squared_error(network(images), images).mean()


def surprise(decoded: Tensor, images: Tensor) -> Tensor:
    """Return (N,): -log N(image; decoded, sigma^2) in nats a picture, D/2 log(2 pi sigma^2) + D error / (2 sigma^2).

    sigma^2 is the mean of `error` over the batch, which minimizes the sum. It carries no gradient, because the
    derivative of the sum by sigma^2 is zero there.
    """
    error, values = squared_error(decoded, images), images[0].numel()
    variance = error.detach().mean().clamp_min(ROUNDING)
    return values / 2 * (log(2 * pi) + variance.log() + error / variance)
