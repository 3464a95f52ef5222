"""Attention between the positions of a feature map, and from them to the words of a caption. Plain PyTorch.

It is not a fused kernel, because gradient penalties differentiate it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.errors import UserError
from ganlab.networks.blocks import conv1

Words = tuple[Tensor, Tensor]
"""States (N, L, word_dim) of the words of N captions, and a mask (N, L), true at words."""


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return softmax(q k^T) v: (N, P, d), (N, L, d), (N, L, v) -> (N, P, v).

    mask: (N, L), true at the positions that may be attended to; at least one in each sample.
    """
    scores = query @ key.transpose(1, 2)
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, :], float("-inf"))
    return scores.softmax(2) @ value


def places(x: Tensor) -> Tensor:
    """Reshape (N, C, H, W) to (N, H W, C)."""
    return x.flatten(2).transpose(1, 2)


class SelfAttention(nn.Module):
    """x + gamma o(attention between the positions of x); gamma starts at 0 (Zhang et al. 2019, section 3).

    Queries and keys have an eighth of the channels, values half. Keys and values are max-pooled over 2 x 2 positions
    (Brock et al. 2019, their code).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.query, self.key, self.value = (conv1(channels, count) for count in (narrow, narrow, half))
        self.out = conv1(half, channels)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the same shape (N, C, h, w)."""
        key, value = (F.max_pool2d(layer(x), 2) for layer in (self.key, self.value))
        seen = attend(places(self.query(x)), places(key), places(value))
        return x + self.gamma * self.out(seen.transpose(1, 2).unflatten(2, x.shape[2:]))


class WordAttention(nn.Module):
    """x + gamma o(attention from the positions of x to words); gamma starts at 0 (Xu et al. 2018, AttnGAN, eq. 2).

    word_dim: the size of the words' states. Padding is masked and changes nothing. The context manager `reading` sets
    the words, so the blocks before this layer need not pass them on. Raise `UserError` if no words are set.
    """

    words: Words | None = None

    def __init__(self, channels: int, word_dim: int) -> None:
        super().__init__()
        self.word_dim = word_dim
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.query, self.out = conv1(channels, narrow), conv1(half, channels)
        self.key, self.value = nn.Linear(word_dim, narrow, bias=False), nn.Linear(word_dim, half, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the same shape (N, C, h, w)."""
        if self.words is None:
            raise UserError("`word_attention` has no words here: recipe=cgan_text2img with condition=words reads them")
        states, mask = self.words
        seen = attend(places(self.query(x)), self.key(states), self.value(states), mask)
        return x + self.gamma * self.out(seen.transpose(1, 2).unflatten(2, x.shape[2:]))


def attention_to_words(channels: int, word_dim: int) -> nn.Module:
    """Return attention from maps of so many channels to words, or the identity for a `word_dim` of 0."""
    return WordAttention(channels, word_dim) if word_dim else nn.Identity()


def word_layers(network: nn.Module) -> list[WordAttention]:
    """Return the layers of a network that attend to words."""
    return [layer for layer in network.modules() if isinstance(layer, WordAttention)]


def check_words(network: nn.Module, word_dim: int, setting: str) -> None:
    """Raise `UserError` if the network attends to words of another size than `word_dim`, which is 0 for no words.

    setting: the name of the network's setting, for the message.
    """
    for layer in word_layers(network):
        if layer.word_dim != word_dim:
            raise UserError(
                f"`{setting}` needs a condition whose words have {layer.word_dim} numbers, got "
                f"{word_dim or 'one without words'}: pass condition=words, or its width as word_dim"
            )


@contextmanager
def reading(network: nn.Module, words: Words | None) -> Iterator[None]:
    """Set the words of the network's word attention inside the block. `None` is for a network without any."""
    layers = word_layers(network)
    for layer in layers:
        layer.words = words
    try:
        yield
    finally:
        for layer in layers:
            layer.words = None


def attention_at(
    there: Sequence[int], attention: Sequence[int], word_attention: Sequence[int] = (), word_dim: int = 0
) -> Callable[[int, int], list[nn.Module]]:
    """Return a function of (side, channels) that returns the attention layers after a block with such a map.

    there: the shorter sides of the network's maps. attention, word_attention: the sides with self-attention, and those
    with attention to words after it. Raise `UserError` for a side that the network does not have.
    """
    for name, sides in {"attention": attention, "word_attention": word_attention}.items():
        if missing := [side for side in sides if side not in there]:
            raise UserError(
                f"`{name}` must be sides of the network's maps, {', '.join(map(str, there))}, got {missing[0]}"
            )

    def layers(side: int, channels: int) -> list[nn.Module]:
        seen: list[nn.Module] = [SelfAttention(channels)] if side in attention else []
        return [*seen, *([WordAttention(channels, word_dim)] if side in word_attention else [])]

    return layers


def attention_after(
    maps: Mapping[int, int], attention: Sequence[int], word_attention: Sequence[int] = (), word_dim: int = 0
) -> dict[int, nn.Sequential]:
    """Return the attention layers after each map of a network by its shorter side, an empty sequence if it has none.

    maps: the shorter side of each map, and its channels. The other settings and errors are those of `attention_at`.
    """
    attentive = attention_at(tuple(maps), attention, word_attention, word_dim)
    return {side: nn.Sequential(*attentive(side, channels)) for side, channels in maps.items()}
