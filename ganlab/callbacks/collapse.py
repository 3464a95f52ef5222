"""The collapse monitor runs the collapse detector on a schedule, announces alarms, and applies a policy to them.

`ganlab.collapse` has the statistics and the policies. docs/collapse.md explains them.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import pytorch_lightning as pl

from ganlab.callbacks.measurement import EveryImages, Measurement, Values, log, positive
from ganlab.collapse.alarm import Alarm, announce, nan_alarm
from ganlab.collapse.detector import CollapseDetector, Finding, GracePeriod, Samples
from ganlab.collapse.diagnostic_log import DiagnosticLog
from ganlab.collapse.history import History
from ganlab.collapse.policies import make_policy
from ganlab.collapse.rollback import Rollback, RollbackSettings
from ganlab.collapse.sampler import check_reals
from ganlab.config.ranges import NonNegative, NonNegativeInt, PositiveInt, Probability, Range, SampleCount, Seed
from ganlab.core.finite import broken
from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError
from ganlab.evaluation.extract import checked_split
from ganlab.metrics.extractors import checked_extractor
from ganlab.processes import divided, together


class CollapseMonitor(Measurement):
    """Watches both generators for lost modes and lost variety, and all weights and losses for NaN.

    every: real images between two looks.
    count: samples of each generator at a look. The powers in docs/collapse.md need at least 800.
    split: train or reference, of the data. extractor: of features; the default is cheap. Points need none.
    chance: the share of healthy runs that may give an alarm.
    grace, patience: a generator that never covered much is an alarm only after this part of the run and this number of
    images.
    on_collapse: warn, stop or rollback. Rollback goes back to the last healthy state with another seed, at most
    `max_rollbacks` times. It multiplies the learning rates by `rates` and adds instance noise of standard deviation
    `noise`, which fades over `fade` images. NaN has the same consequence.

    Logs the loss of each indicator as a share, such as `collapse/averaged/recall`, and `collapse/evidence`: the ratio
    of the strongest test statistic to its threshold, where 1 is an alarm.
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
        samples = positive("count", count), checked_split(split), checked_extractor(extractor)
        settings = RollbackSettings(max_rollbacks, rates, noise, positive("fade", fade))
        self.detector = CollapseDetector(every, *samples, chance, GracePeriod(grace, patience), seed)
        self.diagnostics = DiagnosticLog(seed)
        self.policy = make_policy(on_collapse, partial(Rollback, settings))
        self.alarms: list[Alarm] = []
        self.open: list[str] = []  # topics of the alarms since the last healthy look
        self.looks, self.seconds = 0, 0.0
        self._started = 0.0
        self._samples: Samples = {}
        self._finding: Finding | None = None
        self._had_first_iteration = False

    # Looks ---------------------------------------------------------------------------------------------------------

    def collect(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Draw this process's share of the samples, and exchange their features."""
        self._started = time.monotonic()
        source = together(lambda: self.detector.source(trainer, module))
        self._samples = source.draw(module, divided)

    def measure(self, trainer: pl.Trainer, module: GenerativeModule) -> Values:
        """Return the losses and the diagnostics, and keep the finding."""
        values, self._finding = self.detector.look(trainer, module, self._samples)
        values["collapse/alarm"] = float(self._finding.alarm is not None or bool(self.open))
        missing, alike = values["collapse/averaged/bins"], values.get("collapse/averaged/within_conditions", 0.0)
        values |= self.diagnostics.look(trainer, module, missing, alike)
        self.looks, self.seconds = self.looks + 1, self.seconds + time.monotonic() - self._started
        return values

    def share(self, trainer: pl.Trainer) -> None:
        """Send the finding to all processes."""
        self._finding = trainer.strategy.broadcast(self._finding)

    def on_train_start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        """Start the schedule. Say at once if there are too few real samples to know what is healthy."""
        super().on_train_start(trainer, module)
        try:
            check_reals(trainer.datamodule, self.detector.split)  # type: ignore[attr-defined]
        except UserError as error:
            self.report_failure(trainer, error)

    def on_fit_start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        """Let the policy restore what it changed before."""
        self._had_first_iteration = False
        self.policy.start(trainer, module)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check for NaN, look if it is due, and act on the finding."""
        self._finding = self._nan(trainer, module)
        if self._finding is None:
            self._note_first_iteration(trainer)
            super().on_train_batch_end(trainer, module, outputs, batch, batch_idx)
        if self._finding is not None:
            self._conclude(trainer, module, self._finding)

    def _nan(self, trainer: pl.Trainer, module: GenerativeModule) -> Finding | None:
        """Return a finding if a weight or a loss is not finite. Check only when losses are logged."""
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if module.iteration % every:
            return None
        found = broken(module, trainer.callback_metrics)
        if not trainer.strategy.reduce_boolean_decision(found is not None, all=False):
            return None
        with module.whole():  # what is broken may live on another process
            found = broken(module, trainer.callback_metrics)
        return Finding(False, nan_alarm(module, found or "a loss of another process"))

    def _note_first_iteration(self, trainer: pl.Trainer) -> None:
        if not self._had_first_iteration:
            self.policy.after_first_iteration(trainer)
        self._had_first_iteration = True

    # Consequences --------------------------------------------------------------------------------------------------

    def _conclude(self, trainer: pl.Trainer, module: GenerativeModule, finding: Finding) -> None:
        """Note a healthy state or act on a new alarm, on every process."""
        if finding.healthy:
            self.open = []
            self.policy.after_healthy_look(trainer)
        if finding.alarm is not None and finding.alarm.topic not in self.open:
            self._act(trainer, module, finding.alarm)

    def _act(self, trainer: pl.Trainer, module: GenerativeModule, alarm: Alarm) -> None:
        exhibit = None if alarm.kind == "nan" else self.detector.exhibit()
        self.open.append(alarm.topic)
        alarm = alarm.answered(self.policy.act(trainer, module, alarm.kind))
        self.alarms.append(alarm)
        if module.iteration < alarm.iteration:
            self._after_rollback(module)
        if trainer.is_global_zero:
            announce(trainer, alarm, exhibit)
            log(trainer, module, {"collapse/alarms": float(len(self.alarms))})

    def _after_rollback(self, module: GenerativeModule) -> None:
        """Forget the looks of the abandoned branch."""
        self.detector.history.truncate(module.images_seen)
        self.schedule.start(module)
        self.open = []

    # State ---------------------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Return the entry of `summary.json`: alarms, rollbacks, abnormal diagnostics, and the cost."""
        return {
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "diagnostics": dict(self.diagnostics.abnormal),
            "looks": self.looks,
            "seconds": round(self.seconds, 2),
            **self.policy.state(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint, in plain values."""
        return {
            "history": self.detector.history.state(),
            "diagnostics": self.diagnostics.state(),
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "open": list(self.open),
            "cost": {"looks": self.looks, "seconds": self.seconds},
            "policy": self.policy.state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.detector.history = History(**state_dict["history"])
        self.diagnostics.load(state_dict["diagnostics"])
        self.alarms = [Alarm(**alarm) for alarm in state_dict["alarms"]]
        self.open = list(state_dict["open"])
        self.looks, self.seconds = state_dict["cost"]["looks"], state_dict["cost"]["seconds"]
        self.policy.load(state_dict["policy"])
