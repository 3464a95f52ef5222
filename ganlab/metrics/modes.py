"""Known modes of points and of stacks of digits: the number that samples capture, and their uniformity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from math import log, log1p
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.data.cache import remembered_array
from ganlab.data.pictures import Pictures
from ganlab.data.rows import some_rows
from ganlab.data.stacks import DIGITS, modes_of
from ganlab.metrics.digits import DigitReader
from ganlab.metrics.diversity import nearest
from ganlab.metrics.metric import HIGHER, LOWER, Result, SampleMetric, Samples, Target
from ganlab.metrics.moments import precise
from ganlab.metrics.needs import DIGITS as STACKS
from ganlab.metrics.needs import KNOWN_MODES
from ganlab.metrics.spread import jackknife, share_error

BATCH = 250  # real pictures read at once


@dataclass(frozen=True)
class ModeReport:
    """`captured` of `total` modes; the fraction of high-quality samples; their histogram's KL to uniform, in nats."""

    captured: int
    total: int
    high_quality: float
    kl: float


def modes(points: Tensor, centers: Tensor, sigma: float, radius: float = 3.0, at_least: int = 1) -> ModeReport:
    """Count modes as is standard on mixtures of Gaussians (Srivastava et al. 2017; Lin et al. 2018).

    A sample is of high quality within `radius` * `sigma` of its nearest center; a mode is captured with `at_least`
    such samples; KL(histogram of those samples || uniform), log K if there are none. A perfect generator has a
    high-quality fraction of 1 - exp(-9/2) = 0.98889 in two dimensions and a KL of about (K - 1) / 2N.
    """
    distances, which = nearest(points, centers)
    good = distances < radius * sigma
    counts = which[good].bincount(minlength=len(centers))
    found = captured(counts, at_least)
    return ModeReport(found, len(centers), float(good.double().mean()), kl_to_uniform(counts))


def captured(counts: Tensor, at_least: int = 1) -> int:
    """Return how many modes have at least that many samples; counts: (K,).

    If the classifier makes errors, a single sample is weak evidence for a mode.
    """
    return int((counts >= at_least).sum())


def kl_to_uniform(counts: Tensor) -> float:
    """Return KL(histogram || uniform) of counts (K,), in nats: 0 to log K, which it also is if all are 0.

    >>> round(kl_to_uniform(torch.tensor([3, 1])), 6)  # 3/4 log 3/2 + 1/4 log 1/2
    0.130812
    """
    share = precise(counts) / counts.sum().clamp(min=1)
    return float(torch.xlogy(share, share * len(counts)).sum()) if counts.any() else log(len(counts))


def uniform_floor(samples: int, modes: int) -> float:
    """Return the mean of `kl_to_uniform` for samples that are uniform over the modes: about (K - 1) / 2N for N >> K.

    Exactly: K E[c/N log(K c/N)] with c from Binomial(N, 1/K), for K of at least 2.

    >>> round(uniform_floor(1, 8), 6), round(uniform_floor(26_000, 1000), 4)  # log 8
    (2.079442, 0.0193)
    """
    count = torch.arange(1, samples + 1, dtype=torch.float64)
    total = torch.tensor(float(samples), dtype=torch.float64)
    ways = torch.lgamma(total + 1) - torch.lgamma(count + 1) - torch.lgamma(total - count + 1)
    chance = (ways - count * log(modes) + (total - count) * log1p(-1 / modes)).exp()
    share = count / samples
    return float(modes * (chance * share * (share * modes).log()).sum())


class Modes(SampleMetric):
    """Known modes that are hit: the share of them, times the share of samples that hit one."""

    name = "modes"
    better = HIGHER
    needs = (KNOWN_MODES,)
    standard = True

    def look(self, samples: Samples) -> Tensor:
        """Keep the points (N, D)."""
        return samples.images

    def compute(self) -> Result:
        """Return the product; beside it its parts and the KL divergence of the histogram to uniform."""
        known, points = self.target.modes, self.rows.values
        assert known is not None
        found = modes(points, known.centers, known.sigma)
        protocol = {"samples": len(points), "radius": "3 sigma", "modes": found.total}
        error = share_error(found.high_quality, len(points))
        beside = {
            "modes_captured": Result(float(found.captured), None, protocol),
            "high_quality": Result(found.high_quality, error, protocol),
            "mode_kl": Result(found.kl, None, protocol),
        }
        return Result(found.captured / found.total * found.high_quality, None, protocol, beside)

    def stamp(self, number: str) -> dict[str, Any]:
        """Return the seed: modes are those of the density, whatever the split."""
        return {"seed": self.target.seed}

    @classmethod
    def leading(cls) -> str:
        """Return the name of the product."""
        return "modes_and_quality"


@lru_cache
def digit_reader() -> DigitReader:
    """Return the classifier of digits, loaded once a process."""
    return DigitReader()


def modes_of_reals(pictures: Pictures, rows: np.ndarray) -> Tensor:
    """Return the modes that the reader sees in these pictures (len(rows),); from the cache if it has read them."""
    reader = digit_reader()
    parts = np.split(rows, list(range(BATCH, len(rows), BATCH)))
    hashed = sha256()
    for part in parts:
        hashed.update(pictures.get(part).numpy().tobytes())
    facts = [hashed.hexdigest(), list(pictures.shape), reader.protocol]

    def make() -> np.ndarray:
        return torch.cat([modes_of(reader(pictures.get(part))).cpu() for part in parts]).numpy()

    return torch.from_numpy(remembered_array("modes", facts, make))


class StackModes(SampleMetric):
    """Of stacks of digits: KL(histogram of modes || uniform) in nats, and the modes hit; beside them those of reals.

    Srivastava et al. 2017, Lin et al. 2018, whose protocol is 26,000 samples. A perfect generator has the reals' own
    numbers, which contain the reader's errors; `floor` in the protocol is the mean KL of uniform samples. A mode counts
    as captured with one sample, and in `modes_captured_twice` with two, because a reader that errs hits modes itself.
    """

    name = "modes"
    better = LOWER
    needs = (STACKS,)
    standard = True

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.reader, self.modes = digit_reader(), DIGITS ** target.real.shape[0]

    def to(self, device: torch.device) -> None:
        """Move the reader."""
        self.reader.to(device)

    def look(self, samples: Samples) -> Tensor:
        """Keep the mode that the reader sees in each picture (N,)."""
        return modes_of(self.reader(samples.images))

    def compute(self) -> Result:
        """Return the KL divergence with its standard error; beside it the modes hit, and the reals' numbers."""
        real = some_rows(len(self.target.real), self.target.count, self.target.seed)
        reals = self._of(modes_of_reals(self.target.real, real))
        fakes = self._of(self.rows.values)
        main = fakes.pop("mode_kl")
        main.beside = {**fakes, **{f"{name}_of_reals": one for name, one in reals.items()}}
        return main

    def _of(self, found: Tensor) -> dict[str, Result]:
        """Return the numbers of samples that have these modes (N,)."""
        counts = found.bincount(minlength=self.modes)
        floor = round(uniform_floor(len(found), self.modes), 6)
        protocol = {**self.reader.protocol, "modes": self.modes, "samples": len(found), "floor": floor}
        return {
            "modes_captured": Result(float(captured(counts)), None, protocol),
            "modes_captured_twice": Result(float(captured(counts, 2)), None, protocol),
            "mode_kl": Result(kl_to_uniform(counts), jackknife(self._kl, found), protocol),
        }

    def _kl(self, found: Tensor) -> float:
        return kl_to_uniform(found.bincount(minlength=self.modes))

    @classmethod
    def leading(cls) -> str:
        """Return the name of the KL divergence."""
        return "mode_kl"
