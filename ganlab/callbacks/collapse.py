"""Mode collapse: does the generator still make all of what the data holds?

Two indicators that together see missing modes and shrunken ones (Kynkäänniemi et al. 2019; the bins of Richardson &
Weiss 2018): recall, and the Jensen-Shannon divergence of histograms over k-means bins. Each is held against what it is
between two halves of the real data. Features are `evidence`'s; points are their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from ganlab.callbacks.measurement import EveryImages, Measurement, Values, positive
from ganlab.console import say
from ganlab.data.base import GanData
from ganlab.data.cache import cached_array
from ganlab.data.pictures import Pictures
from ganlab.errors import UserError
from ganlab.generative import GenerativeModule
from ganlab.metrics.diversity import Level, bin_distance, recall, split_half
from ganlab.rulers.evidence import (
    checked_extractor,
    checked_split,
    extractor_named,
    generated,
    real_features,
    some_rows,
    split_of,
)

FEWEST = 100  # samples: below that the indicators say nothing
MOST_REALS = 5_000
REPEATS = 20
FLOORS = {"recall": 0.75, "bin_js": 0.4}  # gaps: one of eight modes has 0.87 and 0.72


@dataclass(frozen=True)
class Indicator:
    """A number, its healthy level, and its value when nothing of the data is covered."""

    name: str
    measure: Callable[[Tensor, Tensor], float]
    healthy: Level
    worst: float

    def gap(self, value: float) -> float:
        """From 0, as healthy as real data, to 1, nothing covered."""
        return min(1.0, max(0.0, (value - self.healthy.mean) / (self.worst - self.healthy.mean)))


@dataclass
class Course:
    """One indicator's gaps over a run: when it is an alarm.

    Fallen: of what the run had covered at its best, if that was at least a fifth of what there is, less than half is
    left. Or the generator is found `lacking` by both indicators, late in the run. Twice in a row, because one
    measurement may be bad luck; a generator that has not learned yet is neither.
    """

    best: float = 1.0
    since: int | None = None

    def alarm(self, gap: float, lacking: bool, images_seen: int) -> bool:
        """Takes one measurement."""
        covered, best_covered = 1 - gap, 1 - self.best
        fallen = best_covered >= 0.2 and covered < best_covered / 2
        self.best = min(self.best, gap)
        if not (fallen or lacking):
            self.since = None
            return False
        first = self.since is None
        self.since = images_seen if self.since is None else self.since
        return not first


@dataclass
class Yardstick:
    """The real side: reference features, of as many pictures as are generated, and both indicators' healthy levels."""

    pictures: Pictures
    features: Callable[[Tensor], Tensor]
    reference: Tensor
    indicators: list[Indicator] = field(default_factory=list)


class Collapse(Measurement):
    """Logs `collapse/recall` and `collapse/bin_js` (nats), and warns once when one of them gives alarm (see `Course`).

    `every`: images seen between two looks. `count`: generated and real samples compared; less where the split has fewer
    than twice as many, because the healthy level needs two halves. `bins`, `k`: of the two indicators. `split`: train,
    what the generator learns from, or reference. Before `grace` of the run is over, and before `patience` images, a
    generator that covers little is one that has not learned yet, and no reason for alarm.
    """

    what = "collapse"

    def __init__(
        self,
        every: int = 100_000,
        count: int = 1_000,
        bins: int = 20,
        k: int = 5,
        split: str = "train",
        extractor: str = "auto",
        grace: float = 0.5,
        patience: int = 100_000,
        seed: int = 0,
    ) -> None:
        super().__init__(EveryImages(positive("every", every)))
        self.count, self.bins, self.k, self.seed = positive("count", count), positive("bins", bins), k, seed
        self.split, self.extractor = checked_split(split), checked_extractor(extractor)
        self.grace, self.patience = grace, patience
        self.courses = {name: Course() for name in FLOORS}
        self.warned = False
        self._yardstick: Yardstick | None = None

    def measure(self, trainer: pl.Trainer, module: GenerativeModule) -> Values:
        yardstick = self._yardstick = self._yardstick or self._fitting(trainer.datamodule, module)  # type: ignore[attr-defined]
        batches = generated(module, yardstick.pictures, len(yardstick.reference), self.seed)
        sample = torch.cat([yardstick.features(images) for images in batches])
        values = {one.name: one.measure(yardstick.reference, sample) for one in yardstick.indicators}
        gaps = {one.name: one.gap(values[one.name]) for one in yardstick.indicators}
        lacking = self._is_late(trainer, module) and all(gaps[name] >= floor for name, floor in FLOORS.items())
        for indicator in yardstick.indicators:
            if self.courses[indicator.name].alarm(gaps[indicator.name], lacking, module.images_seen):
                self._warn(indicator, values[indicator.name])
        return {f"collapse/{name}": value for name, value in values.items()}

    def _is_late(self, trainer: pl.Trainer, module: GenerativeModule) -> bool:
        return module.images_seen >= self.patience and module.iteration >= self.grace * max(0, trainer.max_steps)

    def _warn(self, indicator: Indicator, value: float) -> None:
        if not self.warned:
            away = abs(indicator.healthy.z(value))
            say(
                f"ganlab: the generator misses much of the data (mode collapse): {indicator.name} is {value:.3g}, "
                f"real data's {indicator.healthy.mean:.3g} ± {indicator.healthy.deviation:.2g} ({away:.0f} sd away), "
                f"since {self.courses[indicator.name].since:,} images seen"
            )
        self.warned = True

    def _fitting(self, data: GanData, module: GenerativeModule) -> Yardstick:
        pictures = split_of(data, self.split)
        rows = some_rows(len(pictures), MOST_REALS, self.seed)
        features, real = self._features(pictures, rows, len(data.spec.shape) == 3, module)
        size = min(self.count, len(real) // 2)
        if size < FEWEST:
            raise UserError(
                f"the {self.split} split has {len(real)} pictures: {2 * FEWEST} are needed to know a healthy level"
            )
        order = torch.from_numpy(np.random.default_rng(self.seed).permutation(len(real)))
        return Yardstick(pictures, features, real[order[:size]], self._indicators(real, size))

    def _features(
        self, pictures: Pictures, rows: np.ndarray, are_pictures: bool, module: GenerativeModule
    ) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        if not are_pictures:
            return Tensor.cpu, pictures.get(rows)
        extractor = extractor_named(self.extractor)
        extractor.to(module.device)
        return lambda images: extractor(images).cpu(), real_features(extractor, pictures, rows)

    def _indicators(self, real: Tensor, size: int) -> list[Indicator]:
        def bin_js(reference: Tensor, sample: Tensor) -> float:
            return bin_distance(reference, sample, self.bins, torch.Generator().manual_seed(self.seed))

        def covered(reference: Tensor, sample: Tensor) -> float:
            return recall(reference, sample, self.k)

        return [
            Indicator("recall", covered, self._level("recall", covered, real, size), 0.0),
            Indicator("bin_js", bin_js, self._level("bin_js", bin_js, real, size), log(2)),
        ]

    def _level(self, name: str, measure: Callable[[Tensor, Tensor], float], real: Tensor, size: int) -> Level:
        """Between halves of the real data; from the cache if these very features were compared like that before."""

        def make() -> np.ndarray:
            level = split_half(measure, real, size, REPEATS, torch.Generator().manual_seed(self.seed))
            return np.array([level.mean, level.deviation])

        content = [
            real.sum(dtype=torch.float64).item(),
            real.square().sum(dtype=torch.float64).item(),
            list(real.shape),
        ]
        facts = [name, content, size, self.bins, self.k, self.seed, REPEATS]
        try:
            return Level(*map(float, cached_array("healthy", facts, make)))
        except (UserError, OSError):
            return Level(*map(float, make()))

    def state_dict(self) -> dict[str, Any]:
        courses = {name: {"best": course.best, "since": course.since} for name, course in self.courses.items()}
        return {"warned": self.warned, "courses": courses}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.warned = state_dict["warned"]
        for name, saved in state_dict["courses"].items():
            self.courses[name].best, self.courses[name].since = saved["best"], saved["since"]
