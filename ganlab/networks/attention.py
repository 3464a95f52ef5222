"""Attention between the places of a map, and from them to the words of a caption. Plain PyTorch.

Written out rather than fused, because gradient penalties differentiate it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.errors import UserError
from ganlab.networks.blocks import conv1


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(q k^T) v: (N, P, d), (N, L, d), (N, L, v) -> (N, P, v).

    mask: (N, L), true where there is something to attend to; at least once in each sample.
    """
    scores = query @ key.transpose(1, 2)
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, :], float("-inf"))
    return scores.softmax(2) @ value


def places(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H W, C)."""
    return x.flatten(2).transpose(1, 2)


class SelfAttention(nn.Module):
    """x + gamma o(attention between x's places); gamma starts at 0 (Zhang et al. 2019, section 3).

    Queries and keys have an eighth of the channels, values half; keys and values are those of 2 x 2 places at a time
    (Brock et al. 2019, their code).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.query, self.key, self.value = (conv1(channels, count) for count in (narrow, narrow, half))
        self.out = conv1(half, channels)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        key, value = (F.max_pool2d(layer(x), 2) for layer in (self.key, self.value))
        seen = attend(places(self.query(x)), places(key), places(value))
        return x + self.gamma * self.out(seen.transpose(1, 2).unflatten(2, x.shape[2:]))


class WordAttention(nn.Module):
    """x + gamma o(attention from x's places to words); gamma starts at 0 (after Xu et al. 2018, AttnGAN, eq. 2).

    `word_dim`: of the words' states. Padding is not attended to: what stands there changes nothing.
    """

    def __init__(self, channels: int, word_dim: int) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.query, self.out = conv1(channels, narrow), conv1(half, channels)
        self.key, self.value = nn.Linear(word_dim, narrow, bias=False), nn.Linear(word_dim, half, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """x: (N, C, H, W); states: (N, L, word_dim); mask: (N, L), true where there is a word."""
        seen = attend(places(self.query(x)), self.key(states), self.value(states), mask)
        return x + self.gamma * self.out(seen.transpose(1, 2).unflatten(2, x.shape[2:]))


def attention_at(sides: Sequence[int], there: Sequence[int]) -> Callable[[int, int], list[nn.Module]]:
    """Return a function of (side, channels) that gives the attention after a block with such a map: one layer, or none.

    `sides`: the shorter sides of the maps that have attention; `there`: those that the network has. `UserError` for a
    side that it has not.
    """
    if missing := [side for side in sides if side not in there]:
        raise UserError(
            f"`attention` must be sides of the network's maps, {', '.join(map(str, there))}, got {missing[0]}"
        )
    return lambda side, channels: [SelfAttention(channels)] if side in sides else []
