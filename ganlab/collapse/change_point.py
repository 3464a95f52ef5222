"""Detection of a change for the worse in a series of losses. Plain numpy.

A run is healthy as long as its loss never lies more than `min_loss` above the lowest level that it held before. The
distance to zero does not matter, because a trained generator is never as varied as real data. At each look, a window of
the last b looks is compared with the best window of a looks before it, for several lengths a and b. This is a
window-limited generalized likelihood ratio (Lai 1995):

    z = (mean of the last b without the worst - mean of the best a without the best - min_loss)
        / (noise sqrt(1 / (a - 1) + 1 / (b - 1)))

A single look is luck, so the worst look of the last window and the best look of the earlier window do not count.

Among all healthy series, z is largest in distribution for a constant level: adding a series that falls lowers later
windows at least as much as earlier ones. So a threshold for constant levels holds for every healthy run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BEFORE, AFTER = (3, 6, 12, 24), (2, 4, 8)
"""Lengths a and b of the windows, in looks."""
MIN_LOOKS = BEFORE[0] + AFTER[0]
"""The smallest number of looks for a test."""
JUMPS = 5
"""The largest one of every `JUMPS` steps between successive looks, at least one, may be a jump and is not noise."""
STEP = 0.7906
"""The mean of the smaller four fifths of |x - y|, for independent normal x and y of standard deviation 1."""


class ChangePoint(NamedTuple):
    """The strongest change: its statistic z, the first look after it, and the levels of both windows."""

    z: float
    onset: int
    before: float
    after: float


def noise(losses: np.ndarray, min_noise: float) -> np.ndarray:
    """Return (..., T): the standard deviation of one look of the losses (..., T), from all looks up to each.

    It is estimated from the mean of the smaller steps between successive looks, and is at least `min_noise`.
    """
    steps = np.abs(np.diff(losses, axis=-1))
    kept = [max(1, count - max(1, count // JUMPS)) for count in range(1, losses.shape[-1])]
    means = [np.partition(steps[..., : t + 1], k - 1)[..., :k].mean(axis=-1) for t, k in enumerate(kept)]
    return np.maximum(np.stack([np.zeros(losses.shape[:-1]), *means], axis=-1) / STEP, min_noise)


def window_sums(losses: np.ndarray, length: int) -> np.ndarray:
    """Return (..., T - length + 1): the sum of each window of `length` looks."""
    total = np.cumsum(losses, axis=-1)
    return np.concatenate([total[..., length - 1 : length], total[..., length:] - total[..., :-length]], axis=-1)


def window_extremes(losses: np.ndarray, length: int, extreme: np.ufunc) -> np.ndarray:
    """Return (..., T - length + 1): the maximum or minimum of each window of `length` looks, in log(length) steps.

    extreme: `np.maximum` or `np.minimum`.
    """
    found, size = losses, 1
    while size < length:
        shift = min(size, length - size)
        found, size = extreme(found[..., :-shift], found[..., shift:]), size + shift
    return found


def best_earlier_means(losses: np.ndarray, length: int) -> np.ndarray:
    """Return (..., T - length + 1): the lowest mean of the windows up to each look, each without its lowest look."""
    means = (window_sums(losses, length) - window_extremes(losses, length, np.minimum)) / (length - 1)
    return np.minimum.accumulate(means, axis=-1)


def recent_means(losses: np.ndarray, length: int) -> np.ndarray:
    """Return (..., T - length + 1): the mean of the window that ends at each look, without its highest look."""
    return (window_sums(losses, length) - window_extremes(losses, length, np.maximum)) / (length - 1)


def standard_error(before: int, after: int) -> float:
    """Return the standard deviation of the difference of both means, relative to that of one look."""
    return (1 / (before - 1) + 1 / (after - 1)) ** 0.5


def scan(losses: np.ndarray, noises: np.ndarray, min_loss: float = 0.0) -> np.ndarray:
    """Return (..., T): z at each look of the losses (..., T); minus infinity at the first `MIN_LOOKS` - 1 looks."""
    strongest = np.full(losses.shape, -np.inf)
    for before in BEFORE:
        for after in AFTER:
            first = before + after - 1
            if first < losses.shape[-1]:
                recent, best = recent_means(losses, after)[..., before:], best_earlier_means(losses, before)
                worse = recent - best[..., :-after] - min_loss
                part = strongest[..., first:]
                np.maximum(part, worse / (noises[..., first:] * standard_error(before, after)), out=part)
    return strongest


def detect_change(losses: Sequence[float], sampling_noise: float, min_loss: float) -> ChangePoint | None:
    """Return the strongest change for the worse at the last look, or None if there are too few looks.

    sampling_noise: the standard deviation of one look due to sampling alone.
    """
    x = np.asarray(losses, dtype=float)
    if len(x) < MIN_LOOKS:
        return None
    sigma = float(noise(x, sampling_noise)[-1])
    pairs = [(before, after) for before in BEFORE for after in AFTER if before + after <= len(x)]
    return max(_compare(x, before, after, sigma, min_loss) for before, after in pairs)


def _compare(x: np.ndarray, before: int, after: int, sigma: float, min_loss: float) -> ChangePoint:
    best, recent = float(best_earlier_means(x[:-after], before)[-1]), float(recent_means(x[-after:], after)[-1])
    z = (recent - best - min_loss) / (sigma * standard_error(before, after))
    return ChangePoint(z, _onset(x, (best + recent) / 2), best, recent)


def _onset(x: np.ndarray, middle: float) -> int:
    """Return the first look of the last stretch above the middle of both levels."""
    below = np.flatnonzero(x <= middle)
    return min(int(below[-1]) + 1, len(x) - 1) if len(below) else 0
