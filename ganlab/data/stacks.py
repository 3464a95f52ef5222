"""Pictures whose channels are other pictures, put together when they are asked for: 128,000 take no more room than
what they are made of."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

DIGITS = 10


def modes_of(digits: Tensor) -> Tensor:
    """(N, C) digits -> (N,): the number that they spell, the first channel's digit first.

    >>> modes_of(torch.tensor([[0, 0, 7], [9, 8, 0]]))
    tensor([  7, 980])
    """
    places = DIGITS ** torch.arange(digits.shape[1] - 1, -1, -1, device=digits.device)
    return (digits * places).sum(1)


def drawn_parts(count: int, channels: int, total: int, seed: int, split: int) -> np.ndarray:
    """Return (count, channels) int64: which of `total` pictures lie on one another, each uniform and independent.

    Picture i has words channels * i, ... of a generator that counts (Philox, Salmon et al. 2011), whose key is the
    seed and the split: it is the same however many are drawn. A remainder of 64 bits is uniform to total / 2^64.
    """
    key = np.array([seed, split], dtype=np.uint64)
    words = np.random.Philox(key=key).random_raw(count * channels)
    return (words % np.uint64(total)).astype(np.int64).reshape(count, channels)


class Stacks:
    """N pictures (C, H, W): channel c of picture i is `layers[parts[i, c]]`. Indexed like an array, by rows alone.

    `layers`: uint8 (M, H, W). `parts`: (N, C) rows of it.
    """

    def __init__(self, layers: np.ndarray, parts: np.ndarray) -> None:
        self.layers, self.parts = layers, parts
        self.shape: tuple[int, ...] = (*parts.shape, *layers.shape[1:])

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        return self.layers[self.parts[rows]]
