"""Which pictures are held out: a function of their names, so that it never changes with seeds, order or options."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def place(name: str) -> float:
    """Return a fixed number in [0, 1) for a name, spread evenly over names."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def held_out_rows(names: Sequence[str], fraction: float) -> np.ndarray:
    """Return True where a name's place lies under `fraction`: equal names go together. (N,) bool.

    Where that leaves nothing on one side, the name with the lowest (highest) place goes there.
    """
    places = np.array([place(name) for name in names])
    held = places < fraction
    if fraction > 0 and len(set(names)) > 1:
        held |= places == places.min()
        held &= places < places.max()
    return held
