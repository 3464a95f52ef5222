"""Random rows that depend on a seed only: the same pictures for every measurement."""

from __future__ import annotations

import numpy as np


def some_rows(total: int, count: int, seed: int) -> np.ndarray:
    """Return at most `count` different rows of `total`, in order. They are the same for the same seed."""
    return np.sort(np.random.default_rng(seed).permutation(total)[:count])


def many_rows(total: int, count: int, seed: int) -> np.ndarray:
    """Return exactly `count` rows of `total`. Each occurs as often as any other, or once more."""
    random = np.random.default_rng(seed)
    rounds = -(-count // total)
    return np.concatenate([random.permutation(total) for _ in range(rounds)])[:count]
