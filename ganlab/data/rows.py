"""Random rows that depend on a seed only: the same pictures for every measurement."""

from __future__ import annotations

import numpy as np

from ganlab.data.order import LARGE, key, permuted


def some_rows(total: int, count: int, seed: int) -> np.ndarray:
    """Return at most `count` different rows of `total`, in order. They are the same for the same seed."""
    return np.sort(_permuted(total, count, seed))


def many_rows(total: int, count: int, seed: int) -> np.ndarray:
    """Return exactly `count` rows of `total`. Each occurs as often as any other, or once more."""
    if total >= LARGE and count <= total:
        return _permuted(total, count, seed)
    random = np.random.default_rng(seed)
    rounds = -(-count // total)
    return np.concatenate([random.permutation(total) for _ in range(rounds)])[:count]


def _permuted(total: int, count: int, seed: int) -> np.ndarray:
    """Return the first `count` rows of a permutation. That of a large set is computed, so that nothing is stored."""
    if total < LARGE:
        return np.random.default_rng(seed).permutation(total)[:count]
    return permuted(np.arange(min(count, total)), total, key(seed, np.array(0)))
