"""The original game, without a condition: Goodfellow et al. 2014."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ganlab.config.ranges import Dim
from ganlab.core.adversarial import Terms
from ganlab.core.averaging import MovingAverage
from ganlab.core.density_ratio import RatioGame
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition
from ganlab.networks.architecture import Architecture
from ganlab.networks.heads import RealismLogit, accuracy
from ganlab.objectives import Objective


class VanillaGAN(RatioGame):
    """A generator of pictures or points from noise, against a discriminator with one logit."""

    def __init__(
        self,
        spec: DataSpec,
        network: Architecture,
        objective: Objective,
        generator: Side,
        discriminator: Side,
        average: MovingAverage,
        latent_dim: Dim = 100,
    ) -> None:
        spec = replace(spec, kind="none")  # whatever the data could say, this generator is told nothing
        trunk = network.trunk(spec.shape)
        super().__init__(
            spec,
            network.generator(shape=spec.shape, code_dim=latent_dim),
            nn.Sequential(trunk, RealismLogit(trunk.feature_shape)),
            generator,
            discriminator,
            average,
            latent_dim,
        )
        self.objective = objective

    def generate(self, batch: Batch) -> Tensor:
        return self.generator(self.draw_latent(len(batch)))

    def discriminator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        loss = self.objective.discriminator(self.discriminator(batch.images), self.discriminator(fake))
        return {"realism": loss, **self.penalties("discriminator", batch, fake)}

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        real = self.discriminator(batch.images) if self.objective.sees_reals else None
        loss = self.objective.generator(self.discriminator(fake), real)
        return {"realism": loss, **self.penalties("generator", batch, fake)}

    def critic(self, images: Tensor, condition: Condition) -> Tensor:
        return self.discriminator(images)

    def report(self, batch: Batch) -> dict[str, Tensor]:
        real, fake = self.discriminator(batch.images), self.discriminator(self.generate(batch))
        return {
            "divergence": self.objective.divergence(real, fake),
            "realism_accuracy": accuracy(real, fake, self.objective.undecided),
        }

    def log_density_ratio(self, images: Tensor, condition: Condition) -> Tensor:
        return self.objective.log_density_ratio(self.discriminator(images))

    def picture(self, latent: Tensor, condition: Condition = None) -> Tensor:
        return self.average(latent)

    @torch.no_grad()
    def sample(self, latent: Tensor, condition: Condition = None) -> Tensor:
        return self.picture(latent, condition)
