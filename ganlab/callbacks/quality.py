"""How good the averaged generator is, during training: FID and its kin for pictures, modes hit for points.

Remembers the best value and its iteration, which is what `checkpoints/best.ckpt` goes by.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl

from ganlab.callbacks.measurement import EveryImages, Measurement, Values, positive
from ganlab.config.ranges import PositiveInt, SampleCount, Seed
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import GanData
from ganlab.errors import UserError
from ganlab.evaluation.base import Ruler
from ganlab.evaluation.captions import OracleRuler
from ganlab.evaluation.digits import StackRuler
from ganlab.evaluation.evidence import checked_extractor, checked_resizer, checked_split, extractor_named, split_of
from ganlab.evaluation.measures import checked_measures
from ganlab.evaluation.pictures import PictureRuler
from ganlab.evaluation.points import ModeRuler
from ganlab.metrics.result import Result

ORACLE_COUNT = 500  # pictures of each split that an oracle reads: it looks at them one by one


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
    """Logs `quality/fid_imagenet`, `quality/fid_inception_tf1` and the like, or `quality/modes_captured` for points.

    The name carries the extractor, and the resizer where there is a choice.

    `every`: images seen between two measurements. `count`: generated pictures for each; numbers of different counts
    do not compare. `metrics`: of fid, kid, is, precision, recall, density, coverage, cmmd, fid_infinity, fid_per_class,
    ndb, vendi, copying, duplicates, condition_diversity, condition_realism; the first decides which checkpoint is the
    best. `split`: reference or train, for the real pictures and the conditions of the generated ones.
    Where an oracle can check captions (data=shapes), `quality/caption_accuracy` too, and `..._unseen` for what training
    never showed. On stacks of digits, which have known modes, `quality/mode_kl` decides which checkpoint is the best.
    `extractor`: auto (inception if its weights can be had, else imagenet), inception, imagenet, small, or one of
    torch-fidelity's (clip-vit-b-32, dinov2-vit-s-14, ...); `resizer` before it: tf1, antialias, pil-bicubic, or auto.
    """

    what = "quality"

    def __init__(
        self,
        every: PositiveInt = 100_000,
        count: SampleCount = 2_000,
        metrics: Sequence[str] = ("fid", "kid", "is", "precision", "recall"),
        split: str = "reference",
        extractor: str = "auto",
        seed: Seed = 0,
        resizer: str = "auto",
    ) -> None:
        super().__init__(EveryImages(positive("every", every)))
        self.count, self.seed = positive("count", count), seed
        self.metrics, self.split = checked_measures(metrics), checked_split(split)
        self.extractor, self.resizer = checked_extractor(extractor), checked_resizer(resizer)
        self.results: dict[str, Result] = {}
        self._rulers: list[Ruler] = []

    def measure(self, trainer: pl.Trainer, module: GenerativeModule) -> Values:
        self._rulers = self._rulers or self._fitting_rulers(trainer.datamodule, module)  # type: ignore[attr-defined]
        self.results = {name: one for ruler in self._rulers for name, one in ruler.measure(module).items()}
        leader = self._rulers[0]
        value = self.results[leader.leading].value
        if self._improves(leader, value):
            self.best = Best(f"quality/{leader.leading}", value, module.iteration, module.images_seen)
        return {f"quality/{name}": result.value for name, result in self.results.items()}

    def _fitting_rulers(self, data: GanData, module: GenerativeModule) -> list[Ruler]:
        """What decides which checkpoint is the best, then what an oracle says of captions where the data has one."""
        told = module.spec.kind == "text" and data.checkable
        oracle = [OracleRuler(data.checkable, min(self.count, ORACLE_COUNT), self.seed)] if told else []
        return [*self._modes(data), self._general(data), *oracle]

    def _modes(self, data: GanData) -> list[Ruler]:
        """Where pictures have known modes, missing them is the fault that counts most."""
        asked = (split_of(data, self.split), self.split, self.count, self.seed)
        return [StackRuler(*asked)] if data.digits else []

    def _general(self, data: GanData) -> Ruler:
        pictures = split_of(data, self.split)
        if len(data.spec.shape) == 3:
            network = extractor_named(self.extractor, self.resizer)
            asked = (self.metrics, network, pictures, self.split, self.count, self.seed)
            return PictureRuler(*asked, train=data.train)
        if data.modes is None:
            raise UserError("points of a density without known modes have no measure of quality")
        return ModeRuler(data.modes, pictures, self.count, self.seed)

    def _improves(self, ruler: Ruler, value: float) -> bool:
        """Also when the best was measured in other units: with another extractor, say, before the run was resumed."""
        if self.best is None or self.best.name != f"quality/{ruler.leading}":
            return value == value
        return (value - self.best.value) * ruler.better > 0
