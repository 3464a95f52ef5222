"""The logits of a discriminator: maps from a trunk's features, alone or with a condition's embedding, to one number.

Plain torch. `heads.py` makes the questions of a conditional discriminator from them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ganlab.data.batch import shape_or_type
from ganlab.errors import UserError
from ganlab.networks.attention import attention_to_words


def accuracy(positive: Tensor, negative: Tensor, edge: float = 0.0) -> Tensor:
    """Return the share of logits on the correct side of `edge`; 0.5 if they do not distinguish."""
    return ((positive > edge).float().mean() + (negative <= edge).float().mean()) / 2


class RealismLogit(nn.Module):
    """A logit of realism: one linear map over the whole feature map of x."""

    def __init__(self, feature_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.linear = nn.Linear(math.prod(feature_shape), 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return one logit a sample, (N,), for features (N, *feature_shape)."""
        return self.linear(features.flatten(1)).squeeze(1)


class OneLogit(nn.Module):
    """A check that a network returns one logit an image, (N,) or (N, 1). It returns (N,). owner: the network's name."""

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.owner = owner

    def forward(self, logits: Tensor) -> Tensor:
        """Return the logits as (N,). Raise `UserError` if they have another shape."""
        if not isinstance(logits, Tensor) or logits.dim() not in (1, 2) or logits.shape[1:] not in ((), (1,)):
            raise UserError(
                f"`network.discriminator` {self.owner} gives {shape_or_type(logits)}: without a `feature_shape` its "
                "forward must return one logit an image, (N,) or (N, 1); with features (N, F, h, w) it must say "
                "`feature_shape`"
            )
        return logits.flatten()


class PairLogit(nn.Module):
    """A logit of whether x and c fit: c shifts and scales a 1x1 mix of the features, the same at every position.

    The shift alone is Reed et al. 2016 (section 4.1: c repeated at every position beside the features, then a 1x1
    convolution). The scale lets c select features (Perez et al. 2018), which learns faster.

    word_dim: the size of the words' states that each position first attends to (Xu et al. 2018, eq. 2); 0 for none.
    """

    def __init__(self, feature_shape: tuple[int, int, int], condition_dim: int, word_dim: int = 0) -> None:
        super().__init__()
        features, _, _ = feature_shape
        self.attention = attention_to_words(features, word_dim)
        self.mix = nn.Conv2d(features, features, 1)
        self.steer = nn.Linear(condition_dim, 2 * features)
        self.linear = nn.Linear(math.prod(feature_shape), 1)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """Return one logit a pair, (N,), for features (N, *feature_shape) and embeddings (N, condition_dim)."""
        scale, shift = self.steer(embedding)[:, :, None, None].chunk(2, dim=1)
        mixed = nn.functional.leaky_relu(torch.addcmul(shift, self.mix(self.attention(features)), 1 + scale), 0.2)
        return self.linear(mixed.flatten(1)).squeeze(1)
