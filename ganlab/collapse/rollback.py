"""The policy that takes a run back to its last healthy checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl

from ganlab.collapse.policies import Policy
from ganlab.collapse.rewind import FadingNoise, derived_seed, rewind, scale_rates, set_data_seed
from ganlab.core.checkpoint_io import save_checkpoint
from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError
from ganlab.files.run_folder import RunFolder


@dataclass(frozen=True)
class RollbackSettings:
    """The settings of rollbacks.

    most: rollbacks of a run. rates: factor of the learning rates at each rollback, in (0, 1]. noise: standard deviation
    that each rollback adds to the instance noise. fade: images over which the noise fades.
    Raise `UserError` for values out of range.
    """

    most: int
    rates: float
    noise: float
    fade: int

    def __post_init__(self) -> None:
        if not 0 < self.rates <= 1:
            allowed = "must be above 0 and at most 1"
            raise UserError(f"`rates` {allowed}, got {self.rates}: learning rates are multiplied by it")
        if self.most < 1 or self.noise < 0:
            given = f"{self.most} and {self.noise}"
            raise UserError(f"`max_rollbacks` must be at least 1 and `noise` at least 0, got {given}")


@dataclass(frozen=True)
class RollbackRecord:
    """One rollback: its start, its target, the kind of the alarm and the new seed.

    rates: factor of the learning rates since the run began. noise: standard deviation of the instance noise.
    """

    from_iteration: int
    from_images: int
    to_iteration: int
    to_images: int
    why: str
    seed: int
    rates: float
    noise: float


class Rollback(Policy):
    """The policy that goes back to the last healthy state with a new seed, lower learning rates and instance noise.

    Changes accumulate from one rollback to the next. After `most` rollbacks the run ends.
    """

    FILE: ClassVar[str] = "healthy.ckpt"

    def __init__(self, settings: RollbackSettings) -> None:
        self.settings = settings
        self.records: list[RollbackRecord] = []
        self._seed = 0
        self._noise = FadingNoise()
        self._saved_rates = 1.0  # factor of the rates in the healthy checkpoint

    def start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Restore the seed of the data and the noise of the last rollback."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._seed = data.seed
        if self.records:
            set_data_seed(data, self.records[-1].seed)
            self._apply_noise(module)

    def after_first_iteration(self, trainer: pl.Trainer) -> None:
        """Save the first healthy checkpoint, unless a resumed run has one."""
        if trainer.global_step == 1 or not self._file(trainer).exists():
            self.after_healthy_look(trainer)

    def after_healthy_look(self, trainer: pl.Trainer) -> None:
        """Save the healthy checkpoint."""
        if save_checkpoint(trainer, self.FILE):
            self._saved_rates = self._rates

    def act(self, trainer: pl.Trainer, module: GenerativeModule, why: str) -> str:
        """Go back, or stop the trainer if there were `most` rollbacks or no state was ever healthy."""
        if len(self.records) >= self.settings.most:
            trainer.should_stop = True
            return f"rolled back {len(self.records)} times already: stopping at iteration {trainer.global_step}"
        if not self._file(trainer).is_file():
            trainer.should_stop = True
            return f"it was never healthy: there is nothing to go back to; stopping at iteration {trainer.global_step}"
        record = self._go_back(trainer, module, why)
        self.records.append(record)
        scale_rates(trainer, record.rates / self._saved_rates)
        self._apply_noise(module)
        save_checkpoint(trainer, "last.ckpt")  # otherwise a resumed run would continue the abandoned branch
        return _describe(record)

    def _go_back(self, trainer: pl.Trainer, module: GenerativeModule, why: str) -> RollbackRecord:
        number = len(self.records) + 1
        start, seed = (module.iteration, module.images_seen), derived_seed(self._seed, number)
        rewind(trainer, module, trainer.datamodule, self._file(trainer), seed)  # type: ignore[attr-defined]
        end, rates = (module.iteration, module.images_seen), self._rates * self.settings.rates
        return RollbackRecord(*start, *end, why, seed, rates, self.settings.noise * number)

    @property
    def _rates(self) -> float:
        return self.records[-1].rates if self.records else 1.0

    def _file(self, trainer: pl.Trainer) -> Path:
        return RunFolder(Path(trainer.default_root_dir)).checkpoints / self.FILE

    def _apply_noise(self, module: GenerativeModule) -> None:
        self._noise.attach(module, self.records[-1].noise, self.records[-1].to_images, self.settings.fade)

    def state(self) -> dict[str, Any]:
        """Return the records, and the factor of the rates in the healthy checkpoint."""
        return {"rollbacks": [asdict(record) for record in self.records], "saved_rates": self._saved_rates}

    def load(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned; an empty state is that of another policy."""
        self.records = [RollbackRecord(**record) for record in state.get("rollbacks", [])]
        self._saved_rates = state.get("saved_rates", 1.0)


def _describe(record: RollbackRecord) -> str:
    changes = [f"learning rates times {record.rates:g}"] if record.rates != 1 else []
    changes += [f"noise of {record.noise:g}"] if record.noise else []
    there = f"back at iteration {record.to_iteration} ({record.to_images:,} images seen), when all was well"
    return ", ".join([there, "with another seed", *changes])
