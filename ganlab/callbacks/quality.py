"""Metrics of the averaged generator during training. The best value decides which checkpoint is `best.ckpt`."""

from __future__ import annotations

import time
from abc import ABC
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Annotated, Any, NamedTuple

import pytorch_lightning as pl

from ganlab.callbacks.measurement import Measurement, Values, Widening, positive
from ganlab.config.ranges import PositiveInt, Range, SampleCount, Seed
from ganlab.console import say
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import GanData
from ganlab.errors import UserError
from ganlab.evaluation.evaluator import Evaluator, real_side, target_of
from ganlab.evaluation.extract import checked_split
from ganlab.metrics.extractors import checked_extractor, checked_resizer, extractor_named
from ganlab.metrics.metric import Metric
from ganlab.metrics.registry import checked_names, chosen
from ganlab.metrics.result import Result
from ganlab.processes import gather_values, is_distributed, own_share, together

TimeShare = Annotated[float, Range(above=0, most=1)]
CHECKED = 500  # pictures of each split that the oracle of captions reads, one by one


class Best(NamedTuple):
    """The best value so far: its name, the value, and when it was measured."""

    name: str
    value: float
    iteration: int
    images_seen: int


class BestTracker(Measurement, ABC):
    """A measurement that tracks the best iteration so far. All processes know the best."""

    best: Best | None = None

    def share(self, trainer: pl.Trainer) -> None:
        """Send the best of process 0 to all processes."""
        self.best = trainer.strategy.broadcast(self.best)

    def state_dict(self) -> dict[str, Any]:
        """Return the best in plain values."""
        return {"best": None if self.best is None else dict(self.best._asdict())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best."""
        self.best = None if state_dict["best"] is None else Best(**state_dict["best"])


class Quality(BestTracker):
    """Log metrics as `quality/fid_imagenet`, `quality/fid_inception_tf1` and so on; of points `quality/modes_captured`.

    The name carries the extractor, and the resizer if there is a choice. The first metric decides which checkpoint is
    the best. On stacks of digits `modes` is measured first. If an oracle can check captions (data=shapes),
    `caption_accuracy` is measured too, with `..._unseen` for combinations that training never shows.

    Args:
        every: Images seen between two measurements.
        count: Generated pictures of each measurement. Numbers of different counts do not compare.
        metrics: Names that `python -m ganlab.evaluate --help` lists, or dotted paths of `Metric` classes. Of
            ganlab's own, points have `modes` only.
        split: "reference" or "train": the real pictures, and the conditions of the generated ones.
        extractor: "auto" (inception if its weights can be had, else imagenet), "inception", "imagenet", "small", or one
            of torch-fidelity's ("clip-vit-b-32", "dinov2-vit-s-14", ...).
        seed: Of latents, and of everything that is chosen at random.
        resizer: Before the extractor: "tf1", "antialias", "pil-bicubic", or "auto".
        time_share: The largest share of the wall time for measurements. When one takes more of the time since the one
            before, `every` doubles, once for each time. The default of 1 keeps `every`, because a schedule that follows
            the clock measures other iterations on another machine: `best.ckpt` then differs between two equal runs.
    """

    schedule: Widening

    what = "quality"

    def __init__(
        self,
        every: PositiveInt = 100_000,
        count: SampleCount = 2_000,
        metrics: Sequence[str] = ("fid", "kid", "is", "precision", "recall"),
        split: str = "reference",
        extractor: str = "auto",
        seed: Seed = 0,
        resizer: str = "auto",
        time_share: TimeShare = 1.0,
    ) -> None:
        super().__init__(Widening(positive("every", every), share=time_share))
        self.count, self.seed = positive("count", count), seed
        self.metrics, self.split = checked_names(metrics), checked_split(split)
        self.extractor, self.resizer = checked_extractor(extractor), checked_resizer(resizer)
        self.results: dict[str, Result] = {}
        self._evaluators: list[Evaluator] = []
        self._metrics: list[list[Metric]] = []  # of each evaluator, between `collect` and `measure`

    def collect(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Draw this process's share of the samples, take their features, and do its share of the computation."""
        self._metrics = together(lambda: self._own_share(trainer, module))
        if not is_distributed():
            return
        leaders = gather_values(self._evaluators[0].leading)
        if len(set(leaders)) > 1:
            raise UserError(f"the processes have different extractors ({', '.join(leaders)}): set `extractor`")
        Evaluator.exchange(list(chain(*self._metrics)))

    def look(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Measure, and double the interval if that took too long."""
        started = time.monotonic()
        super().look(trainer, module)
        now = time.monotonic()
        if trainer.strategy.broadcast(self.schedule.spent(now - started, now)):
            self._widen(trainer, now - started)

    def _widen(self, trainer: pl.Trainer, seconds: float) -> None:
        self.schedule.doublings += 1
        if trainer.is_global_zero:
            say(
                f"ganlab: measuring quality took {seconds:.0f} s, more than {self.schedule.share:.0%} of the time "
                f"(`callbacks.quality.time_share`): from now on every {self.schedule.interval:,} images"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the best, and how often the interval was doubled."""
        return {**super().state_dict(), "doublings": self.schedule.doublings}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state_dict)
        self.schedule.doublings = state_dict.get("doublings", 0)

    def _own_share(self, trainer: pl.Trainer, module: GenerativeModule) -> list[list[Metric]]:
        self._evaluators = self._evaluators or self._made(trainer.datamodule, module)  # type: ignore[attr-defined]
        return [each.collect(module, own_share()) for each in self._evaluators]

    def measure(self, trainer: pl.Trainer, module: GenerativeModule) -> Values:
        """Compute the numbers, and keep the best value of the leading one."""
        self.results = {name: one for each in self._metrics for name, one in Evaluator.results(each, module).items()}
        self._metrics = []
        leader = self._evaluators[0]
        leading = self.results.get(leader.leading)
        if leading is not None and self._improves(leader, leading.value):
            self.best = Best(f"quality/{leader.leading}", leading.value, module.iteration, module.images_seen)
        return {f"quality/{name}": result.value for name, result in self.results.items()}

    def _made(self, data: GanData, module: GenerativeModule) -> list[Evaluator]:
        """Return the evaluator of the metrics, the leading one first, and that of captions if they can be checked."""
        target = target_of(data, self.split, self.count, self.seed)
        if target.points and data.modes is None:
            raise UserError("points of a density without known modes have no measure of quality")
        modes = ["modes"] if target.points or data.digits else []
        names = [*modes, *(name for name in self.metrics if not target.points or "." in name)]
        make_real = cache(lambda: real_side(extractor_named(self.extractor, self.resizer), target))
        found = [Evaluator(chosen(list(dict.fromkeys(names)), target), replace(target, make_real=make_real))]
        if module.spec.kind == "text" and data.checkable:
            few = replace(target, count=min(self.count, CHECKED))
            found.append(Evaluator(chosen(["caption_accuracy"], few), few))
        return found

    def _improves(self, leader: Evaluator, value: float) -> bool:
        """Return whether the value is the best so far, or the first of its name.

        After a resume with another extractor the name is new.
        """
        if self.best is None or self.best.name != f"quality/{leader.leading}":
            return value == value
        return (value - self.best.value) * leader.better.value > 0
