"""The original game, without a condition: Goodfellow et al. 2014."""

from __future__ import annotations

from typing import ClassVar

from ganlab.config.ranges import Dim
from ganlab.core.adversarial import Fake, Terms
from ganlab.core.averaging import MovingAverage
from ganlab.core.density_ratio import RatioGame
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch
from ganlab.networks.architecture import Architecture
from ganlab.networks.scales import one_logit
from ganlab.objectives import Objective


class VanillaGAN(RatioGame):
    """A generator of images or points from noise, against a discriminator with one logit."""

    needs_features: ClassVar[bool] = False

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
        trunk = network.trunk(spec.shape, features=False)
        player = network.generator(shape=spec.shape, code_dim=latent_dim)
        judge, spec = one_logit(trunk), spec.unconditional()
        super().__init__(spec, player, judge, objective, generator, discriminator, average, latent_dim)

    def discriminator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the objective between the logits of reals and of generated images."""
        real, generated = self.discriminator(batch.images), self.discriminator(fake.images)
        return {"realism": self.objective.discriminator(real, generated)}

    def generator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the objective of the generated images' logits."""
        real = self.reals_to_compare(batch)
        return {"realism": self.objective.generator(self.discriminator(fake.images), real)}
