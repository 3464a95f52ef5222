"""Mode collapse and other ways to fail: watched for all along, said once, and, if so asked, undone.

What is watched and how it is decided is in `ganlab.collapse` (docs/collapse.md); here it meets a run.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any

import pytorch_lightning as pl

from ganlab.callbacks.measurement import EveryImages, Measurement, Values, log, positive
from ganlab.collapse.alarms import Alarm, announce, of_nan
from ganlab.collapse.course import Course
from ganlab.collapse.inspection import Inspection, Patience, Verdict
from ganlab.collapse.reactions import chosen
from ganlab.collapse.symptoms import Symptoms
from ganlab.config.ranges import NonNegative, NonNegativeInt, PositiveInt, Probability, Range, SampleCount, Seed
from ganlab.core.finite import broken
from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError
from ganlab.evaluation.extract import checked_split
from ganlab.loggers.sheet import Exhibit
from ganlab.metrics.extractors import checked_extractor


class CollapseMonitor(Measurement):
    """Watches both generators for lost modes and variety, the game for what explains it, all numbers for NaN.

    `every`: images seen between two looks. `count`: samples of each generator at a look, at least 800 for the powers
    that docs/collapse.md states. `split`: of the data, train or reference. `extractor`: small unless said otherwise,
    because it is cheap; points are their own features. `chance`: how many runs in which nothing is wrong may give
    alarm. `grace`, `patience`: only past this part of the run, and so many images, is a generator that never
    covered much an alarm. `on_collapse`: warn, stop, or rollback: back to the last healthy state with another seed,
    `rates` times the learning rates and instance noise of standard deviation `noise` that fades over `fade` images, at
    most `max_rollbacks` times; the same for NaN.

    Logs the losses of all indicators as shares, `collapse/averaged/recall` say, and `collapse/evidence`: 1 is alarm.
    """

    what = "collapse"

    def __init__(
        self,
        every: PositiveInt = 30_000,
        count: SampleCount = 800,
        split: str = "train",
        extractor: str = "small",
        chance: Probability = 0.01,
        on_collapse: str = "warn",
        max_rollbacks: PositiveInt = 2,
        rates: Annotated[float, Range(above=0, most=1)] = 0.5,
        noise: NonNegative = 0.0,
        fade: PositiveInt = 100_000,
        grace: NonNegative = 0.5,
        patience: NonNegativeInt = 100_000,
        seed: Seed = 0,
    ) -> None:
        super().__init__(EveryImages(positive("every", every)))
        if not 0 < chance < 1:
            raise UserError(f"`chance` must be between 0 and 1, got {chance}: 0.01 is one healthy run in a hundred")
        seen = positive("count", count), checked_split(split), checked_extractor(extractor)
        self.inspection = Inspection(every, *seen, chance, Patience(grace, patience), seed)
        self.symptoms = Symptoms(seed)
        self.reaction = chosen(on_collapse, max_rollbacks, rates, noise, positive("fade", fade))
        self.alarms: list[Alarm] = []
        self.open: list[str] = []  # what alarms were about that were given since all was well
        self.looks, self.seconds = 0, 0.0
        self._verdict: Verdict | None = None
        self._anchored = False

    # A look --------------------------------------------------------------------------------------------------------

    def measure(self, trainer: pl.Trainer, module: GenerativeModule) -> Values:
        started = time.monotonic()
        values, self._verdict = self.inspection.look(trainer, module)
        values["collapse/alarm"] = float(self._verdict.alarm is not None or bool(self.open))
        values |= self.symptoms.look(trainer, module, values["collapse/averaged/bins"])
        self.looks, self.seconds = self.looks + 1, self.seconds + time.monotonic() - started
        return values

    def share(self, trainer: pl.Trainer) -> None:
        self._verdict = trainer.strategy.broadcast(self._verdict)

    # When ----------------------------------------------------------------------------------------------------------

    def on_fit_start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        self._anchored = False
        self.reaction.start(trainer, module)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._verdict = self._nan(trainer, module)
        if self._verdict is None:
            self._anchor(trainer)
            super().on_train_batch_end(trainer, module, outputs, batch, batch_idx)
        if self._verdict is not None:
            self._conclude(trainer, module, self._verdict)

    def _nan(self, trainer: pl.Trainer, module: GenerativeModule) -> Verdict | None:
        """A verdict where a number is none any more; looked for whenever losses are logged."""
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if module.iteration % every:
            return None
        found = broken(module, trainer.callback_metrics)
        if not trainer.strategy.reduce_boolean_decision(found is not None, all=False):
            return None
        return Verdict(False, of_nan(module, found or "a loss of another process"))

    def _anchor(self, trainer: pl.Trainer) -> None:
        """There is a state to go back to from the first iteration on."""
        if not self._anchored:
            self.reaction.anchor(trainer)
        self._anchored = True

    # What follows --------------------------------------------------------------------------------------------------

    def _conclude(self, trainer: pl.Trainer, module: GenerativeModule, verdict: Verdict) -> None:
        """On every process: note a healthy state, or act on an alarm that is new."""
        if verdict.calm:
            self.open = []
            self.reaction.calm(trainer)
        if verdict.alarm is not None and verdict.alarm.about not in self.open:
            self._act(trainer, module, verdict.alarm)

    def _act(self, trainer: pl.Trainer, module: GenerativeModule, alarm: Alarm) -> None:
        exhibit = self._exhibit(alarm)
        self.open.append(alarm.about)
        alarm = alarm.answered(self.reaction.act(trainer, module, alarm.kind))
        self.alarms.append(alarm)
        if module.iteration < alarm.iteration:
            self._went_back(module)
        if trainer.is_global_zero:
            announce(trainer, alarm, exhibit)
            log(trainer, module, {"collapse/alarms": float(len(self.alarms))})

    def _exhibit(self, alarm: Alarm) -> Exhibit | None:
        return None if alarm.kind == "nan" else self.inspection.exhibit()

    def _went_back(self, module: GenerativeModule) -> None:
        """The looks at what is undone count no more."""
        self.inspection.course.cut(module.images_seen)
        self.schedule.start(module)
        self.open = []

    # What is kept --------------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """What `summary.json` says: alarms with what was done, the game's symptoms, and what it all cost."""
        return {
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "symptoms": dict(self.symptoms.noted),
            "looks": self.looks,
            "seconds": round(self.seconds, 2),
            **self.reaction.plain(),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "course": self.inspection.course.plain(),
            "symptoms": self.symptoms.plain(),
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "open": list(self.open),
            "cost": {"looks": self.looks, "seconds": self.seconds},
            "reaction": self.reaction.plain(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.inspection.course = Course(**state_dict["course"])
        self.symptoms.load(state_dict["symptoms"])
        self.alarms = [Alarm(**alarm) for alarm in state_dict["alarms"]]
        self.open = list(state_dict["open"])
        self.looks, self.seconds = state_dict["cost"]["looks"], state_dict["cost"]["seconds"]
        self.reaction.load(state_dict["reaction"])
