"""What is done about an alarm: a word, an end, or going back to the last healthy checkpoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl

from ganlab.collapse.changes import Fog, slow_down
from ganlab.collapse.rewind import another_seed, restream, rewind
from ganlab.core.checkpoint_io import save_checkpoint
from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError
from ganlab.files.run_folder import RunFolder


class Reaction(ABC):
    """Called on every process at the same iteration."""

    @abstractmethod
    def act(self, trainer: pl.Trainer, module: GenerativeModule, why: str) -> str:
        """Does something about an alarm, and says what in a few words."""

    @abstractmethod
    def start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """A run begins or goes on: what a run that went on from here without a pause would have in place."""

    @abstractmethod
    def anchor(self, trainer: pl.Trainer) -> None:
        """After the first iteration of a run that begins or goes on."""

    @abstractmethod
    def calm(self, trainer: pl.Trainer) -> None:
        """After a look at which all was well."""

    @abstractmethod
    def plain(self) -> dict[str, Any]:
        """What a checkpoint keeps."""

    @abstractmethod
    def load(self, saved: dict[str, Any]) -> None:
        """What `plain` gave."""


class Forgetful:
    """The half of a reaction that remembers, of those that have nothing to remember."""

    def start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """There is nothing to put in place."""

    def anchor(self, trainer: pl.Trainer) -> None:
        """Nobody will come back to this."""

    def calm(self, trainer: pl.Trainer) -> None:
        """Nobody will come back to this."""

    def plain(self) -> dict[str, Any]:
        return {}

    def load(self, saved: dict[str, Any]) -> None:
        """A run that went back before now only warns, say."""


class Warn(Forgetful, Reaction):
    """Says it and leaves the run alone."""

    def act(self, trainer: pl.Trainer, module: GenerativeModule, why: str) -> str:
        return "the run goes on (on_collapse=stop or rollback would do something)"


class Stop(Forgetful, Reaction):
    """Ends the run after this iteration, as Ctrl-C does."""

    def act(self, trainer: pl.Trainer, module: GenerativeModule, why: str) -> str:
        trainer.should_stop = True
        return f"stopping at iteration {trainer.global_step}"


@dataclass(frozen=True)
class Return:
    """One rollback: where from, where to, why, the new seed, the rates' factor since the run began, the noise."""

    from_iteration: int
    from_images: int
    to_iteration: int
    to_images: int
    why: str
    seed: int
    rates: float
    noise: float


class Rollback(Reaction):
    """Back to the last healthy state with another seed, `rates` times the learning rates and instance noise.

    At most `most` times; then the run ends. The noise's standard deviation is `noise` and fades over `fade` images.
    Both changes add up from one return to the next.
    """

    FILE: ClassVar[str] = "healthy.ckpt"

    def __init__(self, most: int, rates: float, noise: float, fade: int) -> None:
        if not 0 < rates <= 1:
            raise UserError(f"`rates` must be above 0 and at most 1, got {rates}: learning rates are multiplied by it")
        if most < 1 or noise < 0:
            raise UserError(f"`max_rollbacks` must be at least 1 and `noise` at least 0, got {most} and {noise}")
        self.most, self.rates, self.noise, self.fade = most, rates, noise, fade
        self.returns: list[Return] = []
        self._seed = 0
        self._fog = Fog()
        self._saved_rates = 1.0  # what the rates in the file have been multiplied by

    def start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._seed = data.seed
        if self.returns:
            restream(data, self.returns[-1].seed)
            self._cover(module)

    def anchor(self, trainer: pl.Trainer) -> None:
        if trainer.global_step == 1 or not self._file(trainer).exists():
            self.calm(trainer)

    def calm(self, trainer: pl.Trainer) -> None:
        if save_checkpoint(trainer, self.FILE):
            self._saved_rates = self._rates_now

    def _file(self, trainer: pl.Trainer) -> Path:
        return RunFolder(Path(trainer.default_root_dir)).checkpoints / self.FILE

    @property
    def _rates_now(self) -> float:
        return self.returns[-1].rates if self.returns else 1.0

    def act(self, trainer: pl.Trainer, module: GenerativeModule, why: str) -> str:
        if len(self.returns) >= self.most:
            trainer.should_stop = True
            return f"rolled back {len(self.returns)} times already: stopping at iteration {trainer.global_step}"
        if not self._file(trainer).is_file():
            trainer.should_stop = True
            return f"it was never healthy: there is nothing to go back to; stopping at iteration {trainer.global_step}"
        left = module.iteration, module.images_seen
        seed = another_seed(self._seed, len(self.returns) + 1)
        rewind(trainer, module, trainer.datamodule, self._file(trainer), seed)  # type: ignore[attr-defined]
        there = module.iteration, module.images_seen
        self.returns.append(Return(*left, *there, why, seed, self._rates_now * self.rates, self._noise_next))
        slow_down(trainer, self._rates_now / self._saved_rates)
        self._cover(module)
        save_checkpoint(trainer, "last.ckpt")  # or resuming would go on from what was left behind
        return self._words(self.returns[-1])

    @property
    def _noise_next(self) -> float:
        return self.noise * (len(self.returns) + 1)

    def _cover(self, module: GenerativeModule) -> None:
        last = self.returns[-1]
        self._fog.settle(module, last.noise, last.to_images, self.fade)

    def _words(self, one: Return) -> str:
        changed = [f"learning rates times {one.rates:g}"] if one.rates != 1 else []
        changed += [f"noise of {one.noise:g}"] if one.noise else []
        there = f"back at iteration {one.to_iteration} ({one.to_images:,} images seen), when all was well"
        return ", ".join([there, "with another seed", *changed])

    def plain(self) -> dict[str, Any]:
        return {"returns": [asdict(one) for one in self.returns], "saved_rates": self._saved_rates}

    def load(self, saved: dict[str, Any]) -> None:
        self.returns = [Return(**one) for one in saved.get("returns", [])]
        self._saved_rates = saved.get("saved_rates", 1.0)


def chosen(name: str, most: int, rates: float, noise: float, fade: int) -> Reaction:
    """The reaction of that name, with its settings checked. `UserError` for another name."""
    rollback = Rollback(most, rates, noise, fade)
    reactions: dict[str, Reaction] = {"warn": Warn(), "stop": Stop(), "rollback": rollback}
    if name not in reactions:
        raise UserError(f"`on_collapse` must be warn, stop or rollback, got {name!r}")
    return reactions[name]
