"""Stacks of digits: which of the modes a generator hits, by an eye that reads the digit in every channel."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.core.generative import GenerativeModule
from ganlab.data.cache import remembered_array
from ganlab.data.pictures import Pictures
from ganlab.data.rows import some_rows
from ganlab.data.stacks import DIGITS, modes_of
from ganlab.evaluation.base import Ruler
from ganlab.evaluation.evidence import generated
from ganlab.evaluation.sources import BATCH
from ganlab.metrics.digits import DigitReader
from ganlab.metrics.diversity import captured, kl_to_uniform, uniform_floor
from ganlab.metrics.result import Result
from ganlab.metrics.spread import jackknife


@lru_cache
def digit_reader() -> DigitReader:
    """Loaded once a process."""
    return DigitReader()


def modes_of_reals(pictures: Pictures, rows: np.ndarray) -> Tensor:
    """(len(rows),): what the reader says of these pictures; from the cache if it has read them before."""
    reader = digit_reader()
    parts = np.split(rows, list(range(BATCH, len(rows), BATCH)))
    hashed = sha256()
    for part in parts:
        hashed.update(pictures.get(part).numpy().tobytes())
    facts = [hashed.hexdigest(), list(pictures.shape), reader.protocol]

    def make() -> np.ndarray:
        return torch.cat([modes_of(reader(pictures.get(part))).cpu() for part in parts]).numpy()

    return torch.from_numpy(remembered_array("modes", facts, make))


class StackRuler(Ruler):
    """Modes captured of all there are, and KL(histogram || uniform) in nats; beside them those of as many reals.

    Srivastava et al. 2017, Lin et al. 2018, whose protocol is 26,000 samples. A perfect generator has the reals' own,
    which hold what the reader gets wrong; `floor` is what uniform samples would have on average. A mode counts as
    captured with one sample, and in `modes_captured_twice` with two, because a reader that errs hits modes by itself.
    """

    leading, better = "mode_kl", -1

    def __init__(self, pictures: Pictures, split: str, count: int, seed: int) -> None:
        self.pictures, self.count, self.seed = pictures, count, seed
        self.modes = DIGITS ** pictures.shape[0]
        rows = some_rows(len(pictures), count, seed)
        self.real = modes_of_reals(pictures, rows)
        self.protocol: dict[str, Any] = {**digit_reader().protocol, "modes": self.modes, "split": split, "seed": seed}

    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        reader = digit_reader().to(module.device)
        drawn = generated(module, self.pictures, self.count, self.seed)
        fake = torch.cat([modes_of(reader(images)).cpu() for images in drawn])
        reals = {f"{name}_of_reals": result for name, result in self._of(self.real).items()}
        return {**self._of(fake), **reals}

    def _of(self, found: Tensor) -> dict[str, Result]:
        counts = found.bincount(minlength=self.modes)
        floor = round(uniform_floor(len(found), self.modes), 6)
        protocol = {**self.protocol, "samples": len(found), "floor": floor}
        return {
            "modes_captured": Result(float(captured(counts)), None, protocol),
            "modes_captured_twice": Result(float(captured(counts, 2)), None, protocol),
            "mode_kl": Result(kl_to_uniform(counts), jackknife(self._kl, found), protocol),
        }

    def _kl(self, found: Tensor) -> float:
        return kl_to_uniform(found.bincount(minlength=self.modes))
