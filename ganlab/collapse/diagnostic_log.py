"""The diagnostics of a run: their values at every look, and a message if one becomes abnormal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch import Tensor

from ganlab.collapse.diagnostics import DIAGNOSTICS, LASTING, GameState
from ganlab.console import say
from ganlab.core.adversarial import AdversarialModule
from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Batch
from ganlab.data.pictures import Pictures
from ganlab.data.rows import some_rows

COUNT = 240  # images of each kind: packs of 2 to 6 divide it
LOGGED = ("overfitting", "separation")


class DiagnosticLog:
    """Keeps the values of all looks in `series`, and the images seen when each diagnostic became abnormal."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.series: dict[str, list[float]] = {name: [] for name in DIAGNOSTICS}
        self.abnormal: dict[str, int] = {}

    def look(self, trainer: pl.Trainer, module: GenerativeModule, missing: float, alike: float) -> dict[str, float]:
        """Evaluate all diagnostics and return the values to log; empty if the module plays no adversarial game.

        missing, alike: as in `GameState`.
        """
        if not isinstance(module, AdversarialModule):
            return {}
        state = GameState(*self._logits(trainer, module), self._gradients(trainer, module), missing, alike)
        for name, diagnostic in DIAGNOSTICS.items():
            self.series[name].append(diagnostic.value(state))
            self._report(name, module.images_seen)
        return {f"held_out/{name}": self.series[name][-1] for name in LOGGED}

    def _logits(self, trainer: pl.Trainer, module: AdversarialModule) -> tuple[Tensor, Tensor, Tensor]:
        """Return the critic's logits (N,) of training images, of held-out images and of generated ones."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        train, held_out, fake = module.held_out_logits(self._batch(data.train), self._batch(data.reference), self.seed)
        return train.float().cpu(), held_out.float().cpu(), fake.float().cpu()

    def _gradients(self, trainer: pl.Trainer, module: AdversarialModule) -> dict[str, float]:
        """Return the last logged gradient norm of each side."""
        logged = trainer.callback_metrics
        names = {side: f"{side}/gradient_norm" for side in module.sides}
        return {side: float(logged[name]) for side, name in names.items() if name in logged}

    def _batch(self, pictures: Pictures) -> Batch:
        """Return the same rows at every look."""
        return pictures.batch(some_rows(len(pictures), COUNT, self.seed), np.random.default_rng(self.seed))

    def _report(self, name: str, images_seen: int) -> None:
        """Print one line when a diagnostic becomes abnormal for the first time."""
        values, diagnostic = self.series[name], DIAGNOSTICS[name]
        if name in self.abnormal or len(values) < LASTING or not diagnostic.is_abnormal(values):
            return
        self.abnormal[name] = images_seen
        number = f"{name} {values[-1]:.2g} at {images_seen:,} images seen"
        say(f"ganlab: {diagnostic.says} ({number}); what helps: {diagnostic.advice}")

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint stores."""
        series = {name: list(values) for name, values in self.series.items()}
        return {"series": series, "abnormal": dict(self.abnormal)}

    def load(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.series |= state["series"]
        self.abnormal = dict(state["abnormal"])
