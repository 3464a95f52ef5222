"""An alarm: its content, and its announcement on stderr, in loggers and in `samples/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytorch_lightning as pl

from ganlab.collapse.history import LACKING, TestStatistic
from ganlab.collapse.messages import ADVICE, describe_loss, percent
from ganlab.console import from_here, say
from ganlab.core.generative import GenerativeModule
from ganlab.files.durable import atomic_write
from ganlab.files.run_folder import RunFolder
from ganlab.loggers import alert
from ganlab.loggers.sheet import Exhibit, png


@dataclass(frozen=True)
class Alarm:
    """An alarm in plain values, as `summary.json` and checkpoints store it.

    kind: an indicator, `lacking` or `nan`. says: one line. since: images seen when it began, as far as is known.
    chance: the share of healthy runs with such an alarm, if known. done: what the run did about it.
    """

    kind: str
    says: str
    since: int
    images_seen: int
    iteration: int
    chance: float | None = None
    done: str = ""

    @property
    def topic(self) -> str:
        """Return `nan` or `collapse`. A topic is announced once, and again only after a healthy look."""
        return "nan" if self.kind == "nan" else "collapse"

    def answered(self, done: str) -> Alarm:
        """Return a copy that says what the run did."""
        return replace(self, done=done)

    @property
    def line(self) -> str:
        """Return the message for a person."""
        parts = (self.says, f"what helps: {ADVICE[self.kind]}", self.done)
        return "ganlab: " + "; ".join(part for part in parts if part)


def nan_alarm(module: GenerativeModule, where: str) -> Alarm:
    """Return the alarm for a number that is not finite."""
    says = f"NaN in {where} at iteration {module.iteration}"
    return Alarm("nan", says, module.images_seen, module.images_seen, module.iteration)


def change_alarm(
    module: GenerativeModule, found: TestStatistic, descriptions: Mapping[str, str], missing: str
) -> Alarm:
    """Return the alarm for a loss against the run's own best.

    descriptions: what each indicator loses, by its name. missing: the missing parts in words, or empty.
    """
    kind = found.series.partition("/")[2]
    says = "; ".join(part for part in (f"mode collapse: {describe_loss(descriptions[kind], found)}", missing) if part)
    return Alarm(kind, says, found.since, module.images_seen, module.iteration, found.p_value)


def lacking_alarm(module: GenerativeModule, losses: Mapping[str, float], since: int, missing: str) -> Alarm:
    """Return the alarm for a generator that is late in its run and never covered much of the data."""
    measured = ", ".join(f"{name.partition('/')[2]}: {percent(losses[name])} missing" for name in LACKING)
    says = f"mode collapse: late in the run the generator still makes little of what there is ({measured})"
    says = "; ".join(part for part in (says, missing) if part)
    return Alarm("lacking", says, since, module.images_seen, module.iteration)


def announce(trainer: pl.Trainer, alarm: Alarm, exhibit: Exhibit | None) -> None:
    """Print one line, alert every logger, and save a picture of what is missing in `samples/`."""
    line = alarm.line
    if exhibit is not None:
        name = f"collapse_{alarm.images_seen:010d}.png"
        file = atomic_write(RunFolder(Path(trainer.default_root_dir)).samples / name, png(exhibit.sheet))
        line += f"; see {from_here(file)}"
    say(line)
    for logger in trainer.loggers:
        alert(logger, alarm.kind, line.removeprefix("ganlab: "), exhibit, alarm.iteration, alarm.images_seen)
