"""A conditional generator, and a discriminator that judges realism and match.

The condition is a class or a caption. The `head` defines the discriminator's questions and the game that follows
(networks/heads.py).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ganlab.config.ranges import Dim, NonNegative, NonNegativeInt
from ganlab.core.adversarial import Fake, Terms
from ganlab.core.averaging import MovingAverage
from ganlab.core.density_ratio import RatioGame
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition
from ganlab.networks.architecture import Architecture
from ganlab.networks.conditional import AugmentedGenerator, ConditionalDiscriminator, ConditionalGenerator
from ganlab.networks.conditioning import ConditionEncoder
from ganlab.networks.heads import Head
from ganlab.objectives import Objective


class ConditionalGAN(RatioGame):
    """Generation of images from a class or a caption.

    augmented_dim: dimensions of the normal distribution into which the generator maps a condition; 0 for none.
    kl_weight: weight of its divergence from N(0, 1), a mean over the dimensions. latent_dim: that of z alone. The
    module's own `latent_dim` includes the noise of the distribution.
    """

    discriminator: ConditionalDiscriminator

    def __init__(
        self,
        spec: DataSpec,
        network: Architecture,
        condition: Callable[[], ConditionEncoder],
        head: Callable[..., Head],
        objective: Objective,
        generator: Side,
        discriminator: Side,
        average: MovingAverage,
        latent_dim: Dim = 100,
        augmented_dim: NonNegativeInt = 0,
        kl_weight: NonNegative = 2.0,
    ) -> None:
        listener, reader = condition(), condition()
        spec.check_kind(listener.kind)
        trunk = network.trunk(spec.shape)
        inner = network.generator(shape=spec.shape, code_dim=latent_dim + (augmented_dim or listener.dim))
        parts = latent_dim, augmented_dim
        player = AugmentedGenerator(listener, inner, parts) if augmented_dim else ConditionalGenerator(listener, inner)
        judge = ConditionalDiscriminator(trunk, reader, head)
        super().__init__(spec, player, judge, objective, generator, discriminator, average, sum(parts))
        self.kl_weight = kl_weight

    def synthesize(self, network: nn.Module, latent: Tensor, condition: Condition) -> Tensor:
        """Return the images for N conditions."""
        return network(latent, condition)

    def discriminator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the head's terms for real, generated and mismatched pairs."""
        return self.discriminator.own_terms(self.objective, batch, fake)

    def generator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the head's terms and, with augmentation, its divergence."""
        terms = self.discriminator.generator_terms(self.objective, batch, fake)
        if isinstance(self.generator, AugmentedGenerator):
            terms["kl"] = self.kl_weight * self.generator.divergence(batch.condition, fake.latent)
        return terms

    def critic(self, images: Tensor, condition: Condition) -> Tensor:
        """Return the head's logits that tell real from generated, summed: (N,)."""
        return self.discriminator.critic_logit(images, condition)

    def logits(self, images: Tensor, condition: Condition) -> dict[str, Tensor]:
        """Return the head's logits by question, each (N,)."""
        return self.discriminator.logits(images, condition)

    def report(self, batch: Batch) -> dict[str, Tensor]:
        """Return the head's divergences and accuracies."""
        return self.discriminator.report(self.objective, batch, self.generate(batch))

    def log_density_ratio(self, images: Tensor, condition: Condition) -> Tensor:
        """Return log p_data(x | c) - log p_generator(x | c) in nats, (N,), from the head's logit of pairs."""
        return self.objective.log_density_ratio(self.discriminator.density_logit(images, condition))
