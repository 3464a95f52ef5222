"""A generator that is told what to draw, and a discriminator that judges realism and match.

The condition is a class or a caption: the `condition` object embeds it, once for each side, and each side trains its
own. What the discriminator is asked, and the game that follows, is the `head`'s (networks/heads.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.config.ranges import Dim, NonNegative, NonNegativeInt
from ganlab.core.adversarial import Terms
from ganlab.core.averaging import MovingAverage
from ganlab.core.density_ratio import RatioGame
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec, wrong_kind
from ganlab.data.batch import Batch, Condition
from ganlab.errors import UserError
from ganlab.networks.architecture import Architecture
from ganlab.networks.attention import reading, word_layers
from ganlab.networks.conditioning import ConditionEncoder, ConditioningAugmentation
from ganlab.networks.heads import Head, Logits
from ganlab.objectives import Objective


class ConditionalGenerator(nn.Module):
    """A network whose code is the latent with the condition's embedding beside it; it may attend to the words, too.

    `UserError` if the network attends to words and the encoder has none, or others than the network expects.
    """

    def __init__(self, encoder: ConditionEncoder, network: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.network = network
        self.reads = bool(word_layers(network))
        for layer in word_layers(network):
            if layer.word_dim != encoder.word_dim:
                raise UserError(
                    f"`word_attention` needs a condition whose words have {layer.word_dim} numbers, got "
                    f"{encoder.word_dim or 'one without words'}: pass condition=words, or its width as word_dim"
                )

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        code = self.code(latent, condition)
        if not self.reads:
            return self.network(code)
        with reading(self.network, self.encoder.words(condition)):
            return self.network(code)

    def code(self, latent: Tensor, condition: Condition) -> Tensor:
        return torch.cat([latent, self.encoder(condition)], 1)


class AugmentedGenerator(ConditionalGenerator):
    """One whose code has a draw from a normal distribution in the embedding's place (Zhang et al. 2017, section 3.2).

    Its latent has the draw's noise after z; `parts` are the sizes of the two.
    """

    def __init__(self, encoder: ConditionEncoder, network: nn.Module, parts: tuple[int, int]) -> None:
        super().__init__(encoder, network)
        self.parts = parts
        self.augmentation = ConditioningAugmentation(encoder.dim, parts[1])

    def code(self, latent: Tensor, condition: Condition) -> Tensor:
        z, noise = latent.split(self.parts, 1)
        return torch.cat([z, self.augmentation(self.encoder(condition), noise)[0]], 1)

    def divergence(self, condition: Condition) -> Tensor:
        """(N,): KL of the distribution from N(0, 1) in nats, the mean over its dimensions."""
        embedding = self.encoder(condition)
        return self.augmentation(embedding, embedding.new_zeros(len(embedding), self.parts[1]))[1]


class ConditionalDiscriminator(nn.Module):
    """Features of the image, an embedding of the condition, and a head that questions the two."""

    def __init__(self, trunk: Any, encoder: ConditionEncoder, head: Callable[..., Head]) -> None:
        super().__init__()
        self.trunk = trunk
        self.encoder = encoder
        self.head = head(feature_shape=trunk.feature_shape, condition_dim=encoder.dim)

    def forward(self, images: Tensor, *embeddings: Tensor) -> list[Logits]:
        """The head's logits for the images with each of the embedded conditions; the images are looked at once."""
        features = self.trunk(images)
        return [self.head(features, embedding) for embedding in embeddings]

    def own_terms(self, objective: Objective, batch: Batch, fake: Tensor) -> Terms:
        """What it minimizes itself: real pairs against generated ones and, where the head asks, mismatched ones."""
        return self.head.discriminator_terms(objective, *self._judged(batch, fake))

    def generator_terms(self, objective: Objective, batch: Batch, fake: Tensor) -> Terms:
        """What a generator minimizes that this one judges."""
        own = self.encoder(batch.condition)
        (generated,) = self(fake, own)
        real = self(batch.images, own)[0] if objective.sees_reals else None
        return self.head.generator_terms(objective, generated, real)

    def potential(self, images: Tensor, condition: Condition) -> Tensor:
        """(N,): the logits that tell real from generated, summed."""
        return self.head.potential(self(images, self.encoder(condition))[0])

    def report(self, objective: Objective, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """Divergences and accuracies."""
        return self.head.report(objective, *self._judged(batch, fake))

    def _judged(self, batch: Batch, fake: Tensor) -> tuple[Logits, Logits, Logits]:
        """Logits of real pairs, generated pairs and mismatched pairs; each condition is read once."""
        own, other = map(self.encoder, (batch.condition, batch.mismatched))
        real, mismatched = self(batch.images, own, other)
        (generated,) = self(fake, own)
        return real, generated, mismatched


def check_kind(encoder: ConditionEncoder, spec: DataSpec) -> None:
    """`UserError` unless the encoder reads what the data has."""
    if encoder.kind != spec.kind:
        raise wrong_kind(encoder.kind, repr(spec.kind))


class ConditionalGAN(RatioGame):
    """Class or caption to image.

    `augmented_dim`: dimensions of the normal distribution that a condition becomes for the generator; 0 for none.
    `kl_weight`: of its divergence from N(0, 1), a mean over the dimensions. `latent_dim` is z's here; the module's own
    has the distribution's noise in it.
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
        check_kind(listener, spec)
        trunk = network.trunk(spec.shape)
        player = network.generator(shape=spec.shape, code_dim=latent_dim + (augmented_dim or listener.dim))
        parts = latent_dim, augmented_dim
        super().__init__(
            spec,
            AugmentedGenerator(listener, player, parts) if augmented_dim else ConditionalGenerator(listener, player),
            ConditionalDiscriminator(trunk, reader, head),
            generator,
            discriminator,
            average,
            sum(parts),
        )
        self.objective, self.kl_weight = objective, kl_weight

    def generate(self, batch: Batch) -> Tensor:
        return self.generator(self.draw_latent(len(batch)), batch.condition)

    def discriminator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        terms = self.discriminator.own_terms(self.objective, batch, fake)
        return {**terms, **self.penalties("discriminator", batch, fake)}

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        terms = self.discriminator.generator_terms(self.objective, batch, fake)
        if isinstance(self.generator, AugmentedGenerator):
            terms["kl"] = self.kl_weight * self.generator.divergence(batch.condition)
        return {**terms, **self.penalties("generator", batch, fake)}

    def critic(self, images: Tensor, condition: Condition) -> Tensor:
        return self.discriminator.potential(images, condition)

    def report(self, batch: Batch) -> dict[str, Tensor]:
        return self.discriminator.report(self.objective, batch, self.generate(batch))

    def log_density_ratio(self, images: Tensor, condition: Condition) -> Tensor:
        (logits,) = self.discriminator(images, self.discriminator.encoder(condition))
        return self.objective.log_density_ratio(self.discriminator.head.density_logit(logits))

    def picture(self, latent: Tensor, condition: Condition = None) -> Tensor:
        return self.average(latent, condition)

    @torch.no_grad()
    def sample(self, latent: Tensor, condition: Condition = None) -> Tensor:
        return self.picture(latent, condition)
