"""What an alarm is: put together from a look, told to a person, to loggers and to a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytorch_lightning as pl

from ganlab.collapse.course import LACKING, Evidence
from ganlab.collapse.words import ADVICE, lost, percent
from ganlab.console import from_here, say
from ganlab.core.generative import GenerativeModule
from ganlab.files.durable import atomic_write
from ganlab.files.run_folder import RunFolder
from ganlab.loggers import alert
from ganlab.loggers.sheet import Exhibit, png


@dataclass(frozen=True)
class Alarm:
    """`kind`: an indicator, `lacking` or `nan`. `chance`: of healthy runs that get there, where that is known.

    `says`: one line. `since`: images seen when it began, as far as one can tell. `done`: what the run did about it.
    """

    kind: str
    says: str
    since: int
    images_seen: int
    iteration: int
    chance: float | None = None
    done: str = ""

    @property
    def about(self) -> str:
        """What is said once, and again only after all has been well."""
        return "nan" if self.kind == "nan" else "collapse"

    def answered(self, done: str) -> Alarm:
        return replace(self, done=done)

    @property
    def line(self) -> str:
        parts = (self.says, f"what helps: {ADVICE[self.kind]}", self.done)
        return "ganlab: " + "; ".join(part for part in parts if part)


def of_nan(module: GenerativeModule, number: str) -> Alarm:
    says = f"NaN in {number} at iteration {module.iteration}"
    return Alarm("nan", says, module.images_seen, module.images_seen, module.iteration)


def of_change(module: GenerativeModule, evidence: Evidence, what: Mapping[str, str], missing: str) -> Alarm:
    """Something was lost against the run's own best. `what`: in words, by indicator; `missing`: which parts."""
    kind = evidence.series.partition("/")[2]
    says = "; ".join(part for part in (f"mode collapse: {lost(what[kind], evidence)}", missing) if part)
    return Alarm(kind, says, evidence.since, module.images_seen, module.iteration, evidence.chance)


def of_lack(module: GenerativeModule, losses: Mapping[str, float], since: int, missing: str) -> Alarm:
    """Late in the run, and it never had much."""
    measured = ", ".join(f"{name.partition('/')[2]}: {percent(losses[name])} missing" for name in LACKING)
    says = f"mode collapse: late in the run the generator still makes little of what there is ({measured})"
    says = "; ".join(part for part in (says, missing) if part)
    return Alarm("lacking", says, since, module.images_seen, module.iteration)


def announce(trainer: pl.Trainer, alarm: Alarm, exhibit: Exhibit | None) -> None:
    """One line here, an alert in every logger, and a picture of what is missing in `samples/`."""
    line = alarm.line
    if exhibit is not None:
        name = f"collapse_{alarm.images_seen:010d}.png"
        file = atomic_write(RunFolder(Path(trainer.default_root_dir)).samples / name, png(exhibit.sheet))
        line += f"; see {from_here(file)}"
    say(line)
    for logger in trainer.loggers:
        alert(logger, alarm.kind, line.removeprefix("ganlab: "), exhibit, alarm.iteration, alarm.images_seen)
