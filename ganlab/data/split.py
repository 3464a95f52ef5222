"""The held-out split as a function of pictures' names. It never changes with seeds, order or options."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def place(name: str) -> float:
    """Return a fixed number in [0, 1) for a name, uniform over names."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def border_of(held: int, total: int, fraction: float) -> int:
    """Return how many of `total` pictures are held out if `held` of them are drawn: at least one if any should be.

    Two are left for training.
    """
    return 0 if fraction == 0 else min(max(held, 1), max(total - 2, 0))


def held_out_rows(names: Sequence[str], fraction: float) -> np.ndarray:
    """Return True for each name whose place is below `fraction`, (N,) bool. Equal names are on the same side.

    If one side would be empty, the name with the lowest (highest) place goes there.
    """
    places = np.array([place(name) for name in names])
    held = places < fraction
    if fraction > 0 and len(set(names)) > 1:
        held |= places == places.min()
        held &= places < places.max()
    return held
