"""When a change for the worse is more than chance: a scan over a run's looks. Plain numpy.

A loss is healthy as long as it never lies more than `least` above the lowest level that it has held before; how far
above zero it lies does not matter, because a trained generator is never as rich as real data. The scan compares the
last few looks with the best window of looks before them (a window-limited generalized likelihood ratio; Lai 1995),
over several lengths of both:

    z = (mean of the last b, but for the worst - mean of the best a before, but for the best - least)
        / (noise sqrt(1 / (a - 1) + 1 / (b - 1)))

One look more or less is luck: the worst one of the last and the best one of the best do not count. For every healthy
course z is largest, in distribution, where the level has stayed the same from the start: adding a course that falls
lowers all later windows at least as much as the earlier ones. So a threshold set on flat courses holds for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BEFORE, AFTER = (3, 6, 12, 24), (2, 4, 8)
"""Lengths of both windows, in looks."""
SHORTEST = BEFORE[0] + AFTER[0]
"""Looks that are needed before anything can be said."""
JUMPS = 5
"""One in so many steps between neighbours, and one at least, may be a jump that is no noise: the largest."""
STEP = 0.7906
"""Mean of the smaller four fifths of |x - y|, for independent normal x and y of standard deviation 1."""


class Change(NamedTuple):
    """`z`, the look since which it has been worse, and the levels of both windows."""

    z: float
    since: int
    before: float
    after: float


def noise(losses: np.ndarray, least: float) -> np.ndarray:
    """(..., T): at each look the standard deviation of one look, from all looks up to it; a few jumps do not count.

    By the mean of the smaller steps between neighbours; at least what sampling alone gives, `least`.
    """
    steps = np.abs(np.diff(losses, axis=-1))
    kept = [max(1, count - max(1, count // JUMPS)) for count in range(1, losses.shape[-1])]
    means = [np.partition(steps[..., : t + 1], k - 1)[..., :k].mean(axis=-1) for t, k in enumerate(kept)]
    return np.maximum(np.stack([np.zeros(losses.shape[:-1]), *means], axis=-1) / STEP, least)


def sums(losses: np.ndarray, length: int) -> np.ndarray:
    """(..., T - length + 1): over all windows of so many looks."""
    total = np.cumsum(losses, axis=-1)
    return np.concatenate([total[..., length - 1 : length], total[..., length:] - total[..., :-length]], axis=-1)


def extremes(losses: np.ndarray, length: int, larger: np.ufunc) -> np.ndarray:
    """(..., T - length + 1): the largest of all windows of so many looks, or the smallest; in log(length) steps."""
    found, size = losses, 1
    while size < length:
        shift = min(size, length - size)
        found, size = larger(found[..., :-shift], found[..., shift:]), size + shift
    return found


def earlier(losses: np.ndarray, length: int) -> np.ndarray:
    """(..., T - length + 1): the lowest mean of any window up to each look, each without its own lowest look."""
    means = (sums(losses, length) - extremes(losses, length, np.minimum)) / (length - 1)
    return np.minimum.accumulate(means, axis=-1)


def later(losses: np.ndarray, length: int) -> np.ndarray:
    """(..., T - length + 1): the mean of the window that ends at each look, without its highest look."""
    return (sums(losses, length) - extremes(losses, length, np.maximum)) / (length - 1)


def scan(losses: np.ndarray, noises: np.ndarray, least: float = 0.0) -> np.ndarray:
    """(..., T): z at each look of each run; minus infinity while there are fewer than `SHORTEST`."""
    strongest = np.full(losses.shape, -np.inf)
    for before in BEFORE:
        for after in AFTER:
            first = before + after - 1
            if first < losses.shape[-1]:
                worse = later(losses, after)[..., before:] - earlier(losses, before)[..., :-after] - least
                part = strongest[..., first:]
                np.maximum(part, worse / (noises[..., first:] * deviation(before, after)), out=part)
    return strongest


def deviation(before: int, after: int) -> float:
    """Of the difference of two windows' means, in deviations of one look."""
    return (1 / (before - 1) + 1 / (after - 1)) ** 0.5


def change(losses: Sequence[float], sampling: float, least: float) -> Change | None:
    """The strongest change for the worse as of the last look; nothing while there are too few looks.

    `sampling`: the standard deviation of one look that sampling alone gives.
    """
    x = np.asarray(losses, dtype=float)
    if len(x) < SHORTEST:
        return None
    sigma = float(noise(x, sampling)[-1])
    pairs = [(before, after) for before in BEFORE for after in AFTER if before + after <= len(x)]
    return max(_compare(x, before, after, sigma, least) for before, after in pairs)


def _compare(x: np.ndarray, before: int, after: int, sigma: float, least: float) -> Change:
    then, now = float(earlier(x[:-after], before)[-1]), float(later(x[-after:], after)[-1])
    z = (now - then - least) / (sigma * deviation(before, after))
    return Change(z, _onset(x, (then + now) / 2), then, now)


def _onset(x: np.ndarray, middle: float) -> int:
    """The first of the last looks that are all above the middle between both levels."""
    below = np.flatnonzero(x <= middle)
    return min(int(below[-1]) + 1, len(x) - 1) if len(below) else 0
