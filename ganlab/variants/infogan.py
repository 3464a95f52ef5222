"""Codes of images, learned without labels. Chen et al. 2016 (InfoGAN)."""

from __future__ import annotations

from ganlab.config.ranges import Dim, NonNegative, NonNegativeInt
from ganlab.core.adversarial import Fake, Terms
from ganlab.core.averaging import MovingAverage
from ganlab.core.density_ratio import RatioGame
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch
from ganlab.networks.architecture import Architecture
from ganlab.networks.codes import CodedGenerator, CodeReader, Parts
from ganlab.objectives import Objective


class InfoGAN(RatioGame):
    """The vanilla game in which both sides also maximize a bound on the mutual information of codes and images (eq. 6).

    latent_dim: size of the noise, beside a code of `categories` values and `continuous` codes. code_weight: lambda.
    """

    discriminator: CodeReader

    def __init__(
        self,
        spec: DataSpec,
        network: Architecture,
        objective: Objective,
        generator: Side,
        discriminator: Side,
        average: MovingAverage,
        latent_dim: Dim = 62,
        categories: Dim = 10,
        continuous: NonNegativeInt = 2,
        code_weight: NonNegative = 1.0,
    ) -> None:
        parts = Parts(latent_dim, categories, continuous)
        player = CodedGenerator(network.generator(shape=spec.shape, code_dim=sum(parts)), parts)
        judge = CodeReader(network.trunk(spec.shape), parts, network.pack)
        super().__init__(spec.unconditional(), player, judge, objective, generator, discriminator, average, sum(parts))
        self.code_weight = code_weight

    def discriminator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the objective between reals and generated images, and the codes' weighted negative log-likelihood."""
        generated, surprise = self.discriminator.read(fake)
        realism = self.objective.discriminator(self.discriminator(batch.images), generated)
        return {"realism": realism, **self._weighted(surprise)}

    def generator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the objective of the generated images, and the codes' weighted negative log-likelihood."""
        generated, surprise = self.discriminator.read(fake)
        realism = self.objective.generator(generated, self.reals_to_compare(batch))
        return {"realism": realism, **self._weighted(surprise)}

    def _weighted(self, surprise: Terms) -> Terms:
        return {name: self.code_weight * loss for name, loss in surprise.items()}
