"""The game's symptoms over a run: numbers for charts at every look, and a line when one is out of order."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from ganlab.collapse.game import LASTING, SYMPTOMS, Symptom
from ganlab.collapse.standing import game_of
from ganlab.console import say
from ganlab.core.adversarial import AdversarialModule
from ganlab.core.generative import GenerativeModule

CHARTED = ("overfitting", "separation")


class Symptoms:
    """`series`: the numbers of all looks, by symptom. `noted`: what was out of order, and when (images seen)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.series: dict[str, list[float]] = {one.name: [] for one in SYMPTOMS}
        self.noted: dict[str, int] = {}

    def look(self, trainer: pl.Trainer, module: GenerativeModule, missing: float) -> dict[str, float]:
        """What goes into the log; nothing where there is no game. `missing`: of the data, from 0 to 1."""
        if not isinstance(module, AdversarialModule):
            return {}
        data = trainer.datamodule  # type: ignore[attr-defined]
        game = game_of(module, data, trainer.callback_metrics, missing, self.seed)
        for one in SYMPTOMS:
            self.series[one.name].append(one.value(game))
            self._note(one, module.images_seen)
        return {f"held_out/{name}": self.series[name][-1] for name in CHARTED}

    def _note(self, one: Symptom, images_seen: int) -> None:
        values = self.series[one.name]
        if one.name in self.noted or len(values) < LASTING or not one.wrong(values):
            return
        self.noted[one.name] = images_seen
        number = f"{one.name} {values[-1]:.2g} at {images_seen:,} images seen"
        say(f"ganlab: {one.says} ({number}); what helps: {one.advice}")

    def plain(self) -> dict[str, Any]:
        return {"series": {name: list(values) for name, values in self.series.items()}, "noted": dict(self.noted)}

    def load(self, saved: dict[str, Any]) -> None:
        self.series |= saved["series"]
        self.noted = dict(saved["noted"])
