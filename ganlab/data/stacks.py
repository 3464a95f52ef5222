"""Pictures whose channels are other pictures. They are assembled on access, so 128,000 need no extra memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ganlab.data.source import Source

DIGITS = 10


def modes_of(digits: Tensor) -> Tensor:
    """Return the number that the digits spell, (N, C) -> (N,), with the first channel's digit first.

    >>> modes_of(torch.tensor([[0, 0, 7], [9, 8, 0]]))
    tensor([  7, 980])
    """
    places = DIGITS ** torch.arange(digits.shape[1] - 1, -1, -1, device=digits.device)
    return (digits * places).sum(1)


def drawn_parts(count: int, channels: int, total: int, seed: int, split: int) -> np.ndarray:
    """Return the index of the picture, of `total`, in each channel: (count, channels) int64, uniform and independent.

    Picture i uses words channels * i, ... of a counter-based generator (Philox, Salmon et al. 2011), whose key is the
    seed and the split. So it is the same for any `count`. A remainder of 64 bits is uniform to total / 2^64.
    """
    key = np.array([seed, split], dtype=np.uint64)
    words = np.random.Philox(key=key).random_raw(count * channels)
    return (words % np.uint64(total)).astype(np.int64).reshape(count, channels)


class Stacks(Source):
    """N pictures (C, H, W): channel c of picture i is `layers[parts[i, c]]`.

    `layers`: uint8 (M, H, W). `parts`: (N, C) rows of it.
    """

    def __init__(self, layers: np.ndarray, parts: np.ndarray) -> None:
        self.layers, self.parts = layers, parts
        self.shape = (*parts.shape, *layers.shape[1:])

    def get(self, rows: np.ndarray) -> np.ndarray:
        """Return the pictures in `rows`, assembled: uint8 (len(rows), C, H, W)."""
        return self.layers[self.parts[rows]]
