"""The collapse detector: losses of both generators at a look, and the decision on them.

All processes draw the samples of a look, and one decides. A look changes nothing, and uses a module only by its public
methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import NamedTuple

import pytorch_lightning as pl

from ganlab.collapse.alarm import Alarm, change_alarm, lacking_alarm
from ganlab.collapse.baseline import fit_indicators
from ganlab.collapse.feature_sample import FeatureSample
from ganlab.collapse.history import CollapseTest, History, TestStatistic, Tolerance, is_near_best
from ganlab.collapse.indicators import Indicator
from ganlab.collapse.missing import MissingParts, exhibit, find_missing
from ganlab.collapse.null_distribution import LONGEST, NullDistribution
from ganlab.collapse.sampler import AVERAGED, LIVE, SampleSource
from ganlab.core.generative import GenerativeModule
from ganlab.data.cache import remembered_array
from ganlab.loggers.sheet import Exhibit

Samples = dict[str, list[FeatureSample]]
"""The samples of each generator at a look."""


class LossEvaluator:
    """Evaluates the loss of every indicator on both generators."""

    def __init__(self, source: SampleSource) -> None:
        self.source = source
        self.indicators = fit_indicators(source.baseline, source.size, source.seed, source.remember)
        self.samples: Samples = {}

    @property
    def series(self) -> dict[str, Indicator]:
        """Return the indicator of each series."""
        return {
            f"{generator}/{one.name}": one
            for generator in (AVERAGED, LIVE)
            for one in self.indicators
            if one.on_live or generator == AVERAGED
        }

    @property
    def tolerances(self) -> dict[str, Tolerance]:
        """Return the tolerance of each series. The noise of a mean over chunks falls by the root of their number."""
        root = self.source.chunks**0.5
        return {name: Tolerance(one.noise / root, one.min_loss) for name, one in self.series.items()}

    @property
    def descriptions(self) -> dict[str, str]:
        """Return what is lost, by the name of the indicator."""
        return {one.name: one.description for one in self.indicators}

    def evaluate(self, module: GenerativeModule, samples: Samples) -> dict[str, float]:
        """Return the loss of each series on samples of the module."""
        self.samples = samples
        return {name: self._loss(one, self.samples[name.partition("/")[0]]) for name, one in self.series.items()}

    @staticmethod
    def _loss(indicator: Indicator, samples: list[FeatureSample]) -> float:
        values = [indicator.value(sample) for sample in samples]
        return indicator.loss(sum(values) / len(values))

    def missing(self) -> MissingParts:
        """Return what the averaged generator lacked at the last look."""
        return find_missing(self.indicators, self.samples[AVERAGED][0])

    def exhibit(self) -> Exhibit | None:
        """Return a picture of what was missing at the last look; None before the first look."""
        if not self.samples:
            return None
        return exhibit(self.source, self.indicators, self.samples[AVERAGED][0], self.missing())


class Finding(NamedTuple):
    """The result of a look: whether the state is worth going back to, and the alarm, if any."""

    healthy: bool
    alarm: Alarm | None


@dataclass(frozen=True)
class GracePeriod:
    """The start of a run, in which a generator that covers little may still be learning.

    It lasts for the part `grace` of the run, and for at least `images` images.
    """

    grace: float
    images: int

    def is_over(self, trainer: pl.Trainer, module: GenerativeModule) -> bool:
        """Return whether the run has passed it."""
        return module.images_seen >= self.images and module.iteration >= self.grace * max(0, trainer.max_steps)


class CollapseDetector:
    """Keeps the history of a run and decides at every look.

    every: images between two looks. count, split, extractor, seed: see `SampleSource`.
    chance: of a false alarm in a healthy run.
    """

    def __init__(
        self, every: int, count: int, split: str, extractor: str, chance: float, grace: GracePeriod, seed: int
    ) -> None:
        self.every, self.chance, self.grace = every, chance, grace
        self.count, self.split, self.extractor, self.seed = count, split, extractor, seed
        self.history = History()
        self._source: SampleSource | None = None
        self._evaluator: LossEvaluator | None = None
        self._test: CollapseTest | None = None

    def source(self, trainer: pl.Trainer, module: GenerativeModule) -> SampleSource:
        """Return the source of samples, which is made at the first look."""
        if self._source is None:
            data = trainer.datamodule  # type: ignore[attr-defined]
            self._source = SampleSource(data, module, self.count, self.split, self.extractor, self.seed)
        return self._source

    def look(self, trainer: pl.Trainer, module: GenerativeModule, samples: Samples) -> tuple[dict[str, float], Finding]:
        """Return the values to log, which are the losses and the strongest test statistic, and the finding.

        samples: of the module, drawn now.
        """
        evaluator, test = self._prepared(trainer, module)
        losses = evaluator.evaluate(module, samples)
        self.history.enter(module.phase, losses)
        self.history.add(module.images_seen, losses)
        statistics = test.statistics(self.history, evaluator.tolerances)
        strongest = statistics[0] if statistics else None
        alarm = self._alarm(module, evaluator, losses, strongest, self.grace.is_over(trainer, module))
        healthy = alarm is None and not self.history.lacking and is_near_best(self.history, evaluator.tolerances)
        values = {f"collapse/{name}": loss for name, loss in losses.items()}
        return {**values, "collapse/evidence": strongest.ratio if strongest else 0.0}, Finding(healthy, alarm)

    def exhibit(self) -> Exhibit | None:
        """Return a picture of what was missing at the last look; None before the first look."""
        return self._evaluator.exhibit() if self._evaluator else None

    def _prepared(self, trainer: pl.Trainer, module: GenerativeModule) -> tuple[LossEvaluator, CollapseTest]:
        """Return evaluator and test, which are made at the first look."""
        self._evaluator = self._evaluator or LossEvaluator(self.source(trainer, module))
        self._test = self._test or CollapseTest(null_distribution(self._planned_looks(trainer, module)), self.chance)
        return self._evaluator, self._test

    def _planned_looks(self, trainer: pl.Trainer, module: GenerativeModule) -> int:
        """Return the number of looks of the whole run, or `LONGEST` if `max_steps` is unbounded."""
        images = max(0, trainer.max_steps) * module.images_seen / max(1, module.iteration)
        return ceil(images / self.every) + 1 if images else LONGEST

    def _alarm(
        self,
        module: GenerativeModule,
        evaluator: LossEvaluator,
        losses: Mapping[str, float],
        strongest: TestStatistic | None,
        late: bool,
    ) -> Alarm | None:
        if strongest is not None and strongest.ratio >= 1:
            return change_alarm(module, strongest, evaluator.descriptions, evaluator.missing().words)
        if late and len(self.history.lacking) > 1:
            return lacking_alarm(module, losses, self.history.lacking[0], evaluator.missing().words)
        return None


def null_distribution(looks: int) -> NullDistribution:
    """Return the null distribution for runs of `looks` looks: simulated once, then from the cache."""
    return NullDistribution.of_length(looks, partial(remembered_array, "healthy-runs"))
