"""How good the averaged generator is, during training: FID and its kin for pictures, modes hit for points.

Remembers the best value and its iteration, which is what `checkpoints/best.ckpt` goes by.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl

from ganlab.adversarial import AdversarialModule
from ganlab.callbacks.measurement import EveryImages, Measurement, Values, positive
from ganlab.data.base import GanData
from ganlab.errors import UserError
from ganlab.metrics.result import Result
from ganlab.rulers.base import Ruler
from ganlab.rulers.evidence import checked_extractor, checked_split, split_of
from ganlab.rulers.pictures import PictureRuler, checked_measures
from ganlab.rulers.points import ModeRuler


class Best(NamedTuple):
    """The best there was: of what, how much, and when."""

    name: str
    value: float
    iteration: int
    images_seen: int


class Judge(Measurement, ABC):
    """A measurement that can say which iteration was the best so far; every process knows it."""

    best: Best | None = None

    def share(self, trainer: pl.Trainer) -> None:
        self.best = trainer.strategy.broadcast(self.best)

    def state_dict(self) -> dict[str, Any]:
        return {"best": None if self.best is None else dict(self.best._asdict())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = None if state_dict["best"] is None else Best(**state_dict["best"])


class Quality(Judge):
    """Logs `quality/fid_small` and the like (the name carries the extractor), or `quality/modes_captured` for points.

    `every`: images seen between two measurements. `count`: generated pictures for each; numbers of different counts
    do not compare. `metrics`: of fid, kid, is, precision, recall, density, coverage; the first decides which checkpoint
    is the best. `split`: reference or train, for the real pictures and the conditions of the generated ones.
    `extractor`: auto (inception where its weights can be had, else small), inception, small.
    """

    what = "quality"

    def __init__(
        self,
        every: int = 100_000,
        count: int = 2_000,
        metrics: Sequence[str] = ("fid", "kid", "is", "precision", "recall"),
        split: str = "reference",
        extractor: str = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__(EveryImages(positive("every", every)))
        self.count, self.seed = positive("count", count), seed
        self.metrics, self.split = checked_measures(metrics), checked_split(split)
        self.extractor = checked_extractor(extractor)
        self.results: dict[str, Result] = {}
        self._ruler: Ruler | None = None

    def measure(self, trainer: pl.Trainer, module: AdversarialModule) -> Values:
        ruler = self._ruler = self._ruler or self._fitting_ruler(trainer.datamodule)  # type: ignore[attr-defined]
        self.results = ruler.measure(module)
        value = self.results[ruler.leading].value
        if self._improves(ruler, value):
            self.best = Best(f"quality/{ruler.leading}", value, module.iteration, module.images_seen)
        return {f"quality/{name}": result.value for name, result in self.results.items()}

    def _fitting_ruler(self, data: GanData) -> Ruler:
        pictures = split_of(data, self.split)
        if len(data.spec.shape) == 3:
            return PictureRuler(self.metrics, self.extractor, pictures, self.split, self.count, self.seed)
        if data.modes is None:
            raise UserError("points of a density without known modes have no measure of quality")
        return ModeRuler(data.modes, pictures, self.count, self.seed)

    def _improves(self, ruler: Ruler, value: float) -> bool:
        """Also when the best was measured in other units: with another extractor, say, before the run was resumed."""
        if self.best is None or self.best.name != f"quality/{ruler.leading}":
            return value == value
        return (value - self.best.value) * ruler.better > 0
