"""The questions of a conditional discriminator, and the game that follows from them. Plain torch.

A head maps features (N, F, s, s) and a condition's embedding (N, E) to named logits (N,). It also defines each side's
terms, given logits of real pairs, generated pairs and mismatched pairs (a real image with a condition that does not fit
it).

A head with a `word_dim` also attends to the words of the caption, whose states have that many numbers. Only what judges
pairs does; realism is judged on the picture alone. `attention.reading` gives the words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ganlab.config.ranges import NonNegative, NonNegativeInt
from ganlab.errors import UserError
from ganlab.networks.attention import attention_to_words
from ganlab.networks.logits import PairLogit, RealismLogit, accuracy
from ganlab.objectives import NonSaturating, Objective

Logits = dict[str, Tensor]
Terms = dict[str, Tensor]

CLASSIFIER = NonSaturating()  # cross-entropy, in float32 whatever the logits are


class Head(nn.Module, ABC):
    """The questions of a conditional discriminator, and each side's terms."""

    @abstractmethod
    def forward(self, features: Tensor, embedding: Tensor) -> Logits:
        """Return named logits, each (N,)."""

    @abstractmethod
    def discriminator_terms(self, objective: Objective, real: Logits, fake: Logits, mismatched: Logits) -> Terms:
        """Return the discriminator's terms, each (N,)."""

    @abstractmethod
    def generator_terms(self, objective: Objective, fake: Logits, real: Logits | None) -> Terms:
        """Return the generator's terms, each (N,). `real` is given if the objective `sees_reals`."""

    @abstractmethod
    def critic_logit(self, logits: Logits) -> Tensor:
        """Return the sum of the logits that tell real from generated, (N,). Gradient penalties differentiate it."""

    @abstractmethod
    def density_logit(self, logits: Logits) -> Tensor:
        """Return the logit that compares real with generated pairs only, (N,). It estimates p_data(x | c) / p_g(x | c).

        Raise `UserError` if there is no such logit.
        """

    @abstractmethod
    def report(self, objective: Objective, real: Logits, fake: Logits, mismatched: Logits) -> dict[str, Tensor]:
        """Return scalars for logs: divergences and accuracies, which show which question fails."""


def _of(logits: Logits | None, name: str) -> Tensor | None:
    return None if logits is None else logits[name]


class OneLogitHead(Head, ABC):
    """A head with one question about (x, c), whose logit is all that the generator and the penalties use."""

    def generator_terms(self, objective: Objective, fake: Logits, real: Logits | None) -> Terms:
        """Return the objective of the generated pairs' logits."""
        return {"pair": objective.generator(fake["pair"], _of(real, "pair"))}

    def critic_logit(self, logits: Logits) -> Tensor:
        """Return the pairs' logits, (N,)."""
        return logits["pair"]


class JointHead(OneLogitHead):
    """One logit for (x, c), with mismatched pairs as additional negatives: Reed et al. 2016, algorithm 1.

    L_D = real + (generated + mismatched) / 2. The optimum is biased: the generator converges to 2 p_data - p_mis
    (clipped at zero), not to p_data; see docs/conditioning.md.

    word_dim: the size of the words' states that the pair's logit attends to; 0 for none.
    """

    def __init__(self, feature_shape: tuple[int, int, int], condition_dim: int, word_dim: NonNegativeInt = 0) -> None:
        super().__init__()
        self.pair = PairLogit(feature_shape, condition_dim, word_dim)

    def forward(self, features: Tensor, embedding: Tensor) -> Logits:
        """Return the logit of the pair."""
        return {"pair": self.pair(features, embedding)}

    def discriminator_terms(self, objective: Objective, real: Logits, fake: Logits, mismatched: Logits) -> Terms:
        """Return the objective against generated and against mismatched pairs, half each."""
        return {
            "pair": objective.discriminator(real["pair"], fake["pair"]) / 2,
            "mismatched": objective.discriminator(real["pair"], mismatched["pair"]) / 2,
        }

    def density_logit(self, logits: Logits) -> Tensor:
        """Raise `UserError`: the optimal exp(logit) is p / ((p_g + p_mis) / 2), which does not determine p / p_g."""
        raise UserError(
            "`head=joint` compares real pairs with generated and mismatched ones in one logit, which is no density "
            "ratio: train with head=separate or head=projection"
        )

    def report(self, objective: Objective, real: Logits, fake: Logits, mismatched: Logits) -> dict[str, Tensor]:
        """Return the divergence, and the accuracy against generated and against mismatched pairs."""
        return {
            "divergence": objective.divergence(real["pair"], fake["pair"]),
            "pair_accuracy": accuracy(real["pair"], fake["pair"], objective.undecided),
            "match_accuracy": accuracy(real["pair"], mismatched["pair"], objective.undecided),
        }


def _pooled(features: Tensor) -> Tensor:
    return nn.functional.relu(features).sum((2, 3))


class ProjectionHead(OneLogitHead):
    """One logit: realism(phi(x)) + <c, phi(x)>. Miyato and Koyama 2018, eq. 3. No mismatched pairs, so no bias.

    word_dim: the size of the words' states to which phi(x) attends in the inner product; 0 for none.
    """

    def __init__(self, feature_shape: tuple[int, int, int], condition_dim: int, word_dim: NonNegativeInt = 0) -> None:
        super().__init__()
        features, _, _ = feature_shape
        self.attention = attention_to_words(features, word_dim)
        self.realism = nn.Linear(features, 1)
        self.embed = nn.Linear(condition_dim, features, bias=False)

    def forward(self, features: Tensor, embedding: Tensor) -> Logits:
        """Return the logit of the pair."""
        pooled, attended = _pooled(features), self.attention(features)
        told = pooled if attended is features else _pooled(attended)
        return {"pair": self.realism(pooled).squeeze(1) + (self.embed(embedding) * told).sum(1)}

    def discriminator_terms(self, objective: Objective, real: Logits, fake: Logits, mismatched: Logits) -> Terms:
        """Return the objective against generated pairs."""
        return {"pair": objective.discriminator(real["pair"], fake["pair"])}

    def density_logit(self, logits: Logits) -> Tensor:
        """Return the pairs' logits, (N,): they compare real pairs with generated pairs alone."""
        return logits["pair"]

    def report(self, objective: Objective, real: Logits, fake: Logits, mismatched: Logits) -> dict[str, Tensor]:
        """Return the divergence, the accuracy, and how often a real pair's logit exceeds its mismatched pair's."""
        return {
            "divergence": objective.divergence(real["pair"], fake["pair"]),
            "pair_accuracy": accuracy(real["pair"], fake["pair"], objective.undecided),
            "match_accuracy": (real["pair"] > mismatched["pair"]).float().mean(),
        }


class BlindHead(OneLogitHead):
    """One logit for x alone, independent of the condition. It is a baseline for the other heads.

    The generator learns p(x): realistic pictures that need not fit their condition.
    """

    def __init__(self, feature_shape: tuple[int, int, int], condition_dim: int) -> None:
        super().__init__()
        self.realism = RealismLogit(feature_shape)

    def forward(self, features: Tensor, embedding: Tensor) -> Logits:
        """Return the logit of the image."""
        return {"pair": self.realism(features)}

    def discriminator_terms(self, objective: Objective, real: Logits, fake: Logits, mismatched: Logits) -> Terms:
        """Return the objective against generated images."""
        return {"pair": objective.discriminator(real["pair"], fake["pair"])}

    def density_logit(self, logits: Logits) -> Tensor:
        """Raise `UserError`: the optimal logit gives p_data(x) / p_g(x), which does not depend on the condition."""
        raise UserError("`head=blind` does not look at the condition: train with head=separate or head=projection")

    def report(self, objective: Objective, real: Logits, fake: Logits, mismatched: Logits) -> dict[str, Tensor]:
        """Return the divergence and the accuracy."""
        return {
            "divergence": objective.divergence(real["pair"], fake["pair"]),
            "realism_accuracy": accuracy(real["pair"], fake["pair"], objective.undecided),
        }


class SeparateHead(Head):
    """Separate logits for the realism of x and for the match of x and c. Unbiased, and the default.

    realism: x, real against generated. pair: (x, c), real against generated. match: (x, c), real images with their own
    against a mismatched condition. The match classifier is always trained and reported, and by default is not part of
    the game.

    match_weight: the weight of the match logit in the generator's loss. It strengthens the condition, at the price of a
    bias towards the pictures most typical of c (two images, two captions, non-saturating: a true 0.60 becomes 0.610 at
    0.1, 0.649 at 0.5, 0.696 at 1; with minimax 0.610, 0.647, 0.691; docs/conditioning.md).

    word_dim: the size of the words' states that the pair's and the match logit attend to; 0 for none.
    """

    def __init__(
        self,
        feature_shape: tuple[int, int, int],
        condition_dim: int,
        match_weight: NonNegative = 0.0,
        word_dim: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.realism = RealismLogit(feature_shape)
        self.pair = PairLogit(feature_shape, condition_dim, word_dim)
        self.match = PairLogit(feature_shape, condition_dim, word_dim)
        self.match_weight = match_weight

    def forward(self, features: Tensor, embedding: Tensor) -> Logits:
        """Return the three logits."""
        return {
            "realism": self.realism(features),
            "pair": self.pair(features, embedding),
            "match": self.match(features, embedding),
        }

    def discriminator_terms(self, objective: Objective, real: Logits, fake: Logits, mismatched: Logits) -> Terms:
        """Return the objective of images, that of pairs, and the cross-entropy of the match classifier."""
        return {
            "realism": objective.discriminator(real["realism"], fake["realism"]),
            "pair": objective.discriminator(real["pair"], fake["pair"]),
            "match": CLASSIFIER.discriminator(real["match"], mismatched["match"]),
        }

    def generator_terms(self, objective: Objective, fake: Logits, real: Logits | None) -> Terms:
        """Return the objective of images, that of pairs, and the weighted loss of the match question."""
        return {
            "realism": objective.generator(fake["realism"], _of(real, "realism")),
            "pair": objective.generator(fake["pair"], _of(real, "pair")),
            "match": self.match_weight * CLASSIFIER.generator(fake["match"]),
        }

    def critic_logit(self, logits: Logits) -> Tensor:
        """Return the sum of the image's and the pair's logits, (N,). The match logit is not part of the game."""
        return logits["realism"] + logits["pair"]

    def density_logit(self, logits: Logits) -> Tensor:
        """Return the pair's logit. The realism logit alone would estimate p_data(x) / p_g(x), without the condition."""
        return logits["pair"]

    def report(self, objective: Objective, real: Logits, fake: Logits, mismatched: Logits) -> dict[str, Tensor]:
        """Return both divergences, both accuracies, and the share of generated images that match."""
        return {
            "divergence": objective.divergence(real["pair"], fake["pair"]),
            "realism_divergence": objective.divergence(real["realism"], fake["realism"]),
            "realism_accuracy": accuracy(real["realism"], fake["realism"], objective.undecided),
            "match_accuracy": accuracy(real["match"], mismatched["match"]),
            "generated_match": (fake["match"] > 0).float().mean(),
        }
