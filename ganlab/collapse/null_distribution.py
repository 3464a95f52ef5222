"""The distribution of the change statistic z in healthy runs, by simulation, and its thresholds. Plain numpy.

The simulated series is the least favourable healthy one: a constant level (see `change_point`) with noise of unknown
size. The noise has heavier tails than the normal distribution (Student's t). Successive looks are correlated (an
autoregressive process of order 1), as those of a network that keeps changing are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganlab.collapse.change_point import MIN_LOOKS, noise, scan

RUNS = 20_000
CHUNK = 4_000  # runs simulated at once
LONGEST = 200  # looks; a longer run counts as several runs of this length in succession
LENGTHS = (6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, LONGEST)  # simulated numbers of looks
DEGREES_OF_FREEDOM = 5  # of Student's t
AUTOCORRELATION = 0.3  # of successive looks
SCALE_QUANTILE = 0.999  # of z at one look: it makes early looks, whose noise is hardly known, comparable with late ones
TAIL = 0.02  # the part of the runs from which rarer ones are extrapolated

Remember = Callable[[list[object], Callable[[], np.ndarray]], np.ndarray]
"""(facts, make) -> the result of make(), or its stored copy for the same facts."""


def constant_series(runs: int, looks: int, random: np.random.Generator) -> np.ndarray:
    """Draw (runs, looks) of noise with standard deviation 1 around the level 0."""
    shape, unit = (runs, looks), ((DEGREES_OF_FREEDOM - 2) / DEGREES_OF_FREEDOM) ** 0.5
    shocks = random.standard_t(DEGREES_OF_FREEDOM, shape) * unit
    x = shocks.copy()
    for t in range(1, looks):
        x[:, t] = AUTOCORRELATION * x[:, t - 1] + (1 - AUTOCORRELATION**2) ** 0.5 * shocks[:, t]
    return x


def simulate(looks: int, runs: int = RUNS, seed: int = 0) -> np.ndarray:
    """Return (runs, looks): z at each look of simulated runs, whose noise is estimated from each run alone."""
    random = np.random.default_rng(seed)
    parts = [constant_series(min(CHUNK, runs - start), looks, random) for start in range(0, runs, CHUNK)]
    return np.concatenate([scan(x, noise(x, 1e-9)) for x in parts])


def tabulate(looks: int, runs: int = RUNS, seed: int = 0) -> np.ndarray:
    """Return (looks + TAIL * runs): the scale of each look, then the ascending maxima of the top `TAIL` of the runs."""
    z = simulate(looks, runs, seed)[:, MIN_LOOKS - 1 :]
    scale = np.quantile(z, SCALE_QUANTILE, axis=0)
    maxima = np.sort((z / scale).max(axis=1))[-int(TAIL * runs) :]
    return np.concatenate([np.full(MIN_LOOKS - 1, np.inf), scale, maxima])


@dataclass(frozen=True)
class NullDistribution:
    """The distribution of the largest z / scale of a healthy run.

    scale: (looks), of z at each look. maxima: the ascending maxima of the top `TAIL` of the simulated runs.
    periods: the number of such runs in succession that one run counts as.
    """

    scale: np.ndarray
    maxima: np.ndarray
    periods: float = 1.0

    @classmethod
    def of_length(cls, looks: int, remember: Remember | None = None) -> NullDistribution:
        """Return the distribution for runs of `looks` looks, rounded up to one of `LENGTHS`."""
        length = next((length for length in LENGTHS if length >= looks), LONGEST)
        facts: list[object] = [length, RUNS, DEGREES_OF_FREEDOM, AUTOCORRELATION, SCALE_QUANTILE, TAIL]
        numbers = np.asarray(remember(facts, lambda: tabulate(length)) if remember else tabulate(length))
        return cls(numbers[:length], numbers[length:], max(1.0, looks / LONGEST))

    def normalize(self, z: float, look: int) -> float:
        """Return z / scale, which is comparable between looks. look: from `MIN_LOOKS` - 1, the first look being 0."""
        return z / float(self.scale[min(look, len(self.scale) - 1)])

    @property
    def _rate(self) -> float:
        """Return the rate of the exponential tail: 1 / (mean excess over the start of the tail)."""
        return 1 / float((self.maxima - self.maxima[0]).mean())

    def p_value(self, normalized: float) -> float:
        """Return the share of healthy runs whose maximum reaches `normalized`. Shares above `TAIL` return `TAIL`."""
        excess = max(0.0, normalized - float(self.maxima[0]))
        return min(1.0, self.periods * TAIL * float(np.exp(-self._rate * excess)))

    def threshold(self, chance: float) -> float:
        """Return the normalized z that the share `chance` of healthy runs reaches; at least that of `TAIL`."""
        return float(self.maxima[0]) + max(0.0, np.log(TAIL * self.periods / chance)) / self._rate
