"""The order in which pictures are drawn: endless shuffled passes, as a function of the position alone.

A pass over a large set is a pseudorandom permutation that is computed place by place: a Feistel network on pairs of
digits (Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 5), with cycle walking. It holds
nothing in memory, so a pass over 100 million pictures starts at once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

LARGE = 2**22
"""Sets of this size and more get a computed permutation. A stored one of NumPy's takes 0.2 s and 32 MB here."""
GOLDEN = np.array([0x9E3779B97F4A7C15], np.uint64)  # of SplitMix64 (Steele et al. 2014), as is `_mixed`
ROUNDS = np.arange(8, dtype=np.uint64) * GOLDEN  # of which each changes one digit; Luby and Rackoff (1988) need 4


def rows_at(position: int, count: int, size: int, seed: int) -> np.ndarray:
    """Return the pictures at `position` .. `position + count` of an endless run of shuffled passes over `size`."""
    if size >= LARGE:
        epochs, places = np.divmod(np.arange(position, position + count), size)
        return permuted(places, size, key(seed, epochs))
    epoch, place = divmod(position, size)
    found = _order(size, seed, epoch)[place : place + count]
    if len(found) == count:
        return found
    return np.concatenate([found, rows_at(position + len(found), count - len(found), size, seed)])


@lru_cache(maxsize=2)
def _order(size: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(size)


class Balanced:
    """Draws each class equally often: K classes come once each in every K pictures, in a shuffled order.

    A class is passed through as a whole, shuffled, before one of its pictures comes again.

    Args:
        labels: the class of each picture, (N,) whole numbers of at least 0. Classes without pictures are left out.
    """

    def __init__(self, labels: np.ndarray) -> None:
        counts = np.bincount(labels)
        self._rows = np.argsort(labels, kind="stable")
        self._counts = counts[counts > 0]
        self._starts = np.cumsum(self._counts) - self._counts

    def rows_at(self, position: int, count: int, seed: int) -> np.ndarray:
        """Return the pictures at `position` .. `position + count` of the endless run."""
        blocks, places = np.divmod(np.arange(position, position + count), len(self._counts))
        classes = permuted(places, len(self._counts), key(seed, blocks))
        sizes = self._counts[classes]
        epochs, members = np.divmod(blocks, sizes)
        return self._rows[self._starts[classes] + permuted(members, sizes, key(seed, classes, epochs))]


# Permutations -----------------------------------------------------------------------------------------------------


def key(seed: int, *numbers: np.ndarray) -> np.ndarray:
    """Return a 64-bit key for each combination of whole numbers, uint64, of their common shape."""
    mixed = _mixed(np.array([seed], dtype=np.uint64))
    for place, number in enumerate(numbers, start=1):
        mixed = _mixed(mixed + number.astype(np.uint64) * GOLDEN + np.uint64(place))
    return mixed


def permuted(places: np.ndarray, size: int | np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the image of each place, (N,) int64 below `size`, under the permutation of 0 .. size - 1 that a key names.

    `size` and `keys` are one for all places, or one for each.

    >>> sorted(permuted(np.arange(10), 10, key(0, np.array(0))).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    sizes, keys = (np.broadcast_to(np.asarray(each, np.uint64), places.shape) for each in (size, keys))
    found = _exchanged(places.astype(np.uint64), sizes, keys)
    while len(outside := np.flatnonzero(found >= sizes)):  # cycle walking: of a square of digits, few lie outside
        found[outside] = _exchanged(found[outside], sizes[outside], keys[outside])
    return found.astype(np.int64)


def _exchanged(numbers: np.ndarray, sizes: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Permute the numbers below `rows` * `columns`: nearly a square, and hardly larger than `sizes`."""
    rows = np.ceil(np.sqrt(sizes)).astype(np.uint64)
    columns = -(-sizes.astype(np.int64) // rows.astype(np.int64)).astype(np.uint64)
    left, right = np.divmod(numbers, columns)
    for one, other in ROUNDS.reshape(-1, 2):
        left = (left + _mixed(right + keys + one)) % rows
        right = (right + _mixed(left + keys + other)) % columns
    return left * columns + right


def _mixed(words: np.ndarray) -> np.ndarray:
    """Return SplitMix64's mixture of 64-bit words."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
