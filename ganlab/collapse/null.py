"""How strong a change looks in runs in which nothing is wrong, by simulation; hence the threshold. Plain numpy.

A healthy course at its least favorable: one level from beginning to end (see `rule`), with noise whose size nobody
knows, heavier tails than the normal distribution's (Student's t) and neighbours that go together (an autoregressive
process), as looks at a network that keeps changing do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganlab.collapse.rule import SHORTEST, noise, scan

RUNS = 20_000
CHUNK = 4_000  # runs simulated at once
LONGEST = 200  # looks; a longer run counts as so many of this length one after the other
LENGTHS = (6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, LONGEST)  # those that are simulated
TAILS = 5  # degrees of freedom
TOGETHER = 0.3  # correlation of neighbouring looks
COMMON = 0.999  # the quantile that makes early looks, of which little is known, comparable with late ones
TAIL = 0.02  # the part of the runs from which rarer ones are extrapolated

Remember = Callable[[list[object], Callable[[], np.ndarray]], np.ndarray]
"""(facts, make) -> what make() returns, perhaps from before."""


def courses(runs: int, looks: int, random: np.random.Generator) -> np.ndarray:
    """(runs, looks): flat, with noise of standard deviation 1."""
    shocks = random.standard_t(TAILS, (runs, looks)) * ((TAILS - 2) / TAILS) ** 0.5
    x = shocks.copy()
    for t in range(1, looks):
        x[:, t] = TOGETHER * x[:, t - 1] + (1 - TOGETHER**2) ** 0.5 * shocks[:, t]
    return x


def simulate(looks: int, runs: int = RUNS, seed: int = 0) -> np.ndarray:
    """(runs, looks): z at each look of healthy runs, of whose noise nothing but their own course tells."""
    random = np.random.default_rng(seed)
    parts = [courses(min(CHUNK, runs - start), looks, random) for start in range(0, runs, CHUNK)]
    return np.concatenate([scan(x, noise(x, 1e-9)) for x in parts])


def table(looks: int, runs: int = RUNS, seed: int = 0) -> np.ndarray:
    """What `Healthy` needs to know: the scale of each look, then the strongest of each of the strongest runs."""
    z = simulate(looks, runs, seed)[:, SHORTEST - 1 :]
    scale = np.quantile(z, COMMON, axis=0)
    strongest = np.sort((z / scale).max(axis=1))[-int(TAIL * runs) :]
    return np.concatenate([np.full(SHORTEST - 1, np.inf), scale, strongest])


@dataclass(frozen=True)
class Healthy:
    """What healthy runs do: `scale` of z at each look, and `strongest`, the largest z / scale of the top 2 % of runs.

    Of `periods` such stretches, one after the other.
    """

    scale: np.ndarray
    strongest: np.ndarray
    periods: float = 1.0

    @classmethod
    def of(cls, looks: int, remember: Remember | None = None) -> Healthy:
        """Runs of so many looks, or a few more."""
        length = next((length for length in LENGTHS if length >= looks), LONGEST)
        facts: list[object] = [length, RUNS, TAILS, TOGETHER, COMMON, TAIL]
        numbers = np.asarray(remember(facts, lambda: table(length)) if remember else table(length))
        return cls(numbers[:length], numbers[length:], max(1.0, looks / LONGEST))

    def evidence(self, z: float, look: int) -> float:
        """z of look number `look` (from 0, at least `SHORTEST` - 1), in units in which all looks are alike."""
        return z / float(self.scale[min(look, len(self.scale) - 1)])

    @property
    def _slope(self) -> float:
        """How fast the logarithm of the frequency falls with the evidence (the excess is about exponential)."""
        return 1 / float((self.strongest - self.strongest[0]).mean())

    def chance(self, evidence: float) -> float:
        """How often a healthy run gets as far, from 0 to 1; below `TAIL`, else `TAIL`, where that is all one knows."""
        beyond = max(0.0, evidence - float(self.strongest[0]))
        return min(1.0, self.periods * TAIL * float(np.exp(-self._slope * beyond)))

    def threshold(self, chance: float) -> float:
        """The evidence that so few healthy runs reach; at least what `TAIL` of them do."""
        return float(self.strongest[0]) + max(0.0, np.log(TAIL * self.periods / chance)) / self._slope
