"""The two players of a conditional game: a generator of code and condition, and a discriminator with a head.

Plain PyTorch. Each player has and trains its own condition encoder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganlab.data.batch import Batch, Condition, Fake
from ganlab.networks.attention import WordAttention, Words, check_words, reading, word_layers
from ganlab.networks.conditioning import ConditionEncoder, ConditioningAugmentation
from ganlab.networks.heads import Head, Logits, Terms
from ganlab.networks.scales import Scales, at_each_scale, verdicts
from ganlab.objectives import Objective


class CodeGenerator(nn.Module, ABC):
    """A generator whose code combines latent and condition, with optional attention to the condition's words. Abstract.

    Raise `UserError` if the network attends to words and the encoder has none, or has words of another size.
    """

    def __init__(self, encoder: ConditionEncoder, network: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.network = network
        self.reads = bool(word_layers(network))
        check_words(network, encoder.word_dim, "word_attention")

    @abstractmethod
    def code(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return the network's code (N, code_dim) for latents (N, latent_dim) and N conditions."""

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return images (N, *shape) for latents (N, latent_dim) and N conditions."""
        code = self.code(latent, condition)
        if not self.reads:
            return self.network(code)
        with reading(self.network, self.encoder.words(condition)):
            return self.network(code)


class ConditionalGenerator(CodeGenerator):
    """A generator whose code is the latent beside the condition's embedding."""

    def code(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return latent and embedding side by side."""
        return torch.cat([latent, self.encoder(condition, latent)], 1)


class AugmentedGenerator(CodeGenerator):
    """A generator whose code has a draw from a normal distribution in place of the embedding.

    Zhang et al. 2017, section 3.2. The latent contains z and then the noise of the draw. parts: the sizes of the two.
    """

    def __init__(self, encoder: ConditionEncoder, network: nn.Module, parts: tuple[int, int]) -> None:
        super().__init__(encoder, network)
        self.parts = parts
        self.augmentation = ConditioningAugmentation(encoder.dim, parts[1])

    def code(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return z and the draw side by side."""
        z, noise = latent.split(self.parts, 1)
        return torch.cat([z, self.augmentation(self.encoder(condition, latent), noise)[0]], 1)

    def divergence(self, condition: Condition, latent: Tensor) -> Tensor:
        """Return the KL divergence of the distribution from N(0, 1) in nats, averaged over its dimensions: (N,)."""
        embedding = self.encoder(condition, latent)
        return self.augmentation(embedding, embedding.new_zeros(len(embedding), self.parts[1]))[1]


# Between two conditions -------------------------------------------------------------------------------------------


@contextmanager
def blended(network: nn.Module, other: Condition, share: float) -> Iterator[None]:
    """Move a network's conditions a `share` (0 to 1) of the way to the N conditions `other`, inside the block.

    Embeddings are interpolated linearly, and so are the results of attention to words. A share of 0 or 1 gives exactly
    the pictures of one condition.
    """
    with ExitStack() as stack:
        for encoder in outer_encoders(network):
            stack.enter_context(encoder.register_forward_hook(partial(_blend, other, share)))
        for player in (part for part in network.modules() if isinstance(part, CodeGenerator) and part.reads):
            words = player.encoder.words(other)
            for layer in word_layers(player.network):
                stack.enter_context(layer.register_forward_hook(partial(_blend_words, words, share)))
        yield


def outer_encoders(network: nn.Module) -> list[ConditionEncoder]:
    """Return the condition encoders of a network, without those that are a part of another."""
    encoders = [part for part in network.modules() if isinstance(part, ConditionEncoder)]
    inner = {id(part) for one in encoders for part in one.modules() if part is not one}
    return [one for one in encoders if id(one) not in inner]


def _blend(other: Condition, share: float, encoder: ConditionEncoder, given: Any, made: Tensor) -> Tensor:
    _, *latents = given
    return made.lerp(encoder.forward(other, *latents), share)


def _blend_words(words: Words, share: float, layer: WordAttention, given: Any, made: Tensor) -> Tensor:
    own, layer.words = layer.words, words
    try:
        return made.lerp(layer.forward(*given), share)
    finally:
        layer.words = own


class Encoded(NamedTuple):
    """N conditions as a head reads them: embeddings (N, dim), and their words if the head attends to words."""

    embedding: Tensor
    words: Words | None = None


class ConditionalDiscriminator(nn.Module):
    """A trunk on images, an encoder of conditions, and a head that compares the two, at each scale of the trunk.

    The trunk does not know the condition, so it runs once for all conditions of an image. Attention to words is in the
    head. Raise `UserError` if the head attends to words and the encoder has none, or has words of another size.
    """

    def __init__(self, trunk: Any, encoder: ConditionEncoder, head: Callable[..., Head]) -> None:
        super().__init__()
        self.trunk = trunk
        self.encoder = encoder
        self.head = at_each_scale(trunk, head, condition_dim=encoder.dim)
        self.reads = bool(word_layers(self.head))
        check_words(self.head, encoder.word_dim, "head.word_dim")

    @property
    def questions(self) -> Head:
        """Return the head that defines the terms, of one scale: all scales have the same."""
        head = self.head.scales[0] if isinstance(self.head, Scales) else self.head
        assert isinstance(head, Head)
        return head

    def forward(self, images: Tensor, *conditions: Encoded) -> list[Logits]:
        """Return the head's logits for the images with each of the encoded conditions. The trunk runs once."""
        features = self.trunk(images)
        return [self._answers(features, *condition) for condition in conditions]

    def _answers(self, features: Tensor, embedding: Tensor, words: Words | None) -> Logits:
        with reading(self.head, words):
            return self.head(features, embedding)

    def encode(self, condition: Condition) -> Encoded:
        """Return the conditions as the head reads them."""
        return Encoded(self.encoder(condition), self.encoder.words(condition) if self.reads else None)

    def own_terms(self, objective: Objective, batch: Batch, fake: Fake) -> Terms:
        """Return the discriminator's terms: real pairs against generated and, if the head asks, mismatched ones."""
        return self.questions.discriminator_terms(objective, *self._judged(batch, fake))

    def generator_terms(self, objective: Objective, batch: Batch, fake: Fake) -> Terms:
        """Return the terms of the generator that this discriminator judges."""
        own = self.encode(batch.condition)
        (generated,) = self(fake.images, own)
        real = self(batch.images, own)[0] if objective.sees_reals else None
        return self.questions.generator_terms(objective, generated, real)

    def logits(self, images: Tensor, condition: Condition) -> Logits:
        """Return the head's logits by question, each (N,); means over the scales if there are several."""
        (logits,) = self(images, self.encode(condition))
        return verdicts(logits)

    def critic_logit(self, images: Tensor, condition: Condition) -> Tensor:
        """Return the logits that tell real from generated, summed: (N,)."""
        return self.questions.critic_logit(self.logits(images, condition))

    def density_logit(self, images: Tensor, condition: Condition) -> Tensor:
        """Return the logit that compares real with generated pairs only, (N,). Raise `UserError` if there is none."""
        return self.questions.density_logit(self.logits(images, condition))

    def report(self, objective: Objective, batch: Batch, fake: Fake) -> dict[str, Tensor]:
        """Return divergences and accuracies."""
        return self.questions.report(objective, *map(verdicts, self._judged(batch, fake)))

    def _judged(self, batch: Batch, fake: Fake) -> tuple[Logits, Logits, Logits]:
        """Return the logits of real pairs, generated pairs and mismatched pairs. Each condition is encoded once."""
        own, other = map(self.encode, (batch.condition, batch.mismatched))
        real, mismatched = self(batch.images, own, other)
        (generated,) = self(fake.images, own)
        return real, generated, mismatched
