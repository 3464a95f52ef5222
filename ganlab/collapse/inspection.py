"""One look at a run and the verdict on it: works on one process, changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import NamedTuple

import pytorch_lightning as pl

from ganlab.collapse.alarms import Alarm, of_change, of_lack
from ganlab.collapse.course import Course, Evidence, Rule, calm
from ganlab.collapse.null import LONGEST, Healthy
from ganlab.collapse.watch import Watch
from ganlab.core.generative import GenerativeModule
from ganlab.data.cache import remembered_array
from ganlab.loggers.sheet import Exhibit


class Verdict(NamedTuple):
    """Of one look. `calm`: a state worth going back to."""

    calm: bool
    alarm: Alarm | None


@dataclass(frozen=True)
class Patience:
    """Before this part of the run, and so many images, a generator that covers little has merely not learned yet."""

    grace: float
    images: int

    def is_over(self, trainer: pl.Trainer, module: GenerativeModule) -> bool:
        return module.images_seen >= self.images and module.iteration >= self.grace * max(0, trainer.max_steps)


class Inspection:
    """Keeps the course of the run. `every`: images between two looks; `chance`: of a false alarm in a run."""

    def __init__(
        self, every: int, count: int, split: str, extractor: str, chance: float, patience: Patience, seed: int
    ) -> None:
        self.every, self.chance, self.patience = every, chance, patience
        self.count, self.split, self.extractor, self.seed = count, split, extractor, seed
        self.course = Course()
        self._watch: Watch | None = None
        self._rule: Rule | None = None

    def look(self, trainer: pl.Trainer, module: GenerativeModule) -> tuple[dict[str, float], Verdict]:
        """Every series' loss, the strongest evidence, and what is to be thought of it."""
        watch, rule = self._prepared(trainer, module)
        losses = watch.look(module)
        self.course.enter(module.chapter, losses)
        self.course.add(module.images_seen, losses)
        found = rule.evidence(self.course, watch.terms)
        alarm = self._alarm(module, watch, losses, found, self.patience.is_over(trainer, module))
        healthy = alarm is None and not self.course.lacking and calm(self.course, watch.terms)
        values = {f"collapse/{name}": loss for name, loss in losses.items()}
        return {**values, "collapse/evidence": found[0].ratio if found else 0.0}, Verdict(healthy, alarm)

    def exhibit(self) -> Exhibit | None:
        """What was missing at the last look; nothing before the first."""
        return self._watch.exhibit(self._watch.missing()) if self._watch and self._watch.last else None

    def _prepared(self, trainer: pl.Trainer, module: GenerativeModule) -> tuple[Watch, Rule]:
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._watch = self._watch or Watch(data, module, self.count, self.split, self.extractor, self.seed)
        self._rule = self._rule or Rule(healthy_runs(self._planned(trainer, module)), self.chance)
        return self._watch, self._rule

    def _planned(self, trainer: pl.Trainer, module: GenerativeModule) -> int:
        """How many looks the whole run will have had; where that is open, as many as are simulated."""
        images = max(0, trainer.max_steps) * module.images_seen / max(1, module.iteration)
        return ceil(images / self.every) + 1 if images else LONGEST

    def _alarm(
        self, module: GenerativeModule, watch: Watch, losses: Mapping[str, float], found: list[Evidence], late: bool
    ) -> Alarm | None:
        if found and found[0].ratio >= 1:
            return of_change(module, found[0], watch.what, watch.missing().words)
        if late and len(self.course.lacking) > 1:
            return of_lack(module, losses, self.course.lacking[0], watch.missing().words)
        return None


def healthy_runs(looks: int) -> Healthy:
    """What healthy runs of so many looks do: simulated once, then from the cache."""
    return Healthy.of(looks, partial(remembered_array, "healthy-runs"))
