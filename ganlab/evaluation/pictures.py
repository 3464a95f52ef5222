"""Fréchet distance and its kin, between features of generated pictures and of real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ganlab.core.generative import GenerativeModule
from ganlab.data.pictures import Pictures
from ganlab.data.rows import some_rows
from ganlab.evaluation.base import Ruler
from ganlab.evaluation.evidence import extractor_named, gather, reference_of
from ganlab.evaluation.measures import MEASURES, Evidence, check_needs, checked_measures, measured
from ganlab.evaluation.sources import Generated, Source, Stored
from ganlab.metrics.features import Extractor
from ganlab.metrics.gathering import MOST, Sample
from ganlab.metrics.result import Result

__all__ = ["MEASURES", "PictureRuler", "checked_measures", "compared"]


def compared(names: Sequence[str], extractor: Extractor, seen: Evidence, protocol: dict[str, Any]) -> dict[str, Result]:
    """The numbers under their full names, each stamped with the protocol that they share and what is its own."""
    shared = {
        **extractor.protocol,
        "reals": seen.real.count or "unknown",
        "fakes": seen.fake.count,
        "kept": MOST,
        **protocol,
    }
    return {
        extractor.metric(name): Result(one.value, one.spread, {"measure": name, **shared, **one.protocol})
        for results in measured(names, seen).values()
        for name, one in results.items()
    }


class PictureRuler(Ruler):
    """Fréchet distance and its kin between features of generated pictures and of at most `reals` of the split's.

    `train`: what the generator learned from, for `copying`. `reference`: real side and its facts where they are read
    from a file instead.
    """

    def __init__(
        self,
        names: Sequence[str],
        extractor: str | Extractor,
        pictures: Pictures,
        split: str,
        count: int,
        seed: int,
        reals: int = MOST,
        train: Pictures | None = None,
        reference: tuple[Sample, dict[str, Any]] | None = None,
    ) -> None:
        self.names, self.count, self.seed, self.pictures = names, count, seed, pictures
        self.extractor = extractor_named(extractor) if isinstance(extractor, str) else extractor
        stored = Stored(pictures, some_rows(len(pictures), reals, seed))
        self.real, facts = reference or reference_of(self.extractor, stored, seed)
        self.train = self._trained_on(stored, train)
        check_needs(names, self.extractor.classes, self.real, self.train)
        self.leading, self.better = self.extractor.metric(names[0]), MEASURES[names[0]].better
        self.protocol: dict[str, Any] = {"split": split, **facts, "seed": seed}

    def _trained_on(self, stored: Stored, train: Pictures | None) -> Sample | None:
        if train is None or "copying" not in self.names:
            return None
        source: Source = Stored(train, some_rows(len(train), MOST, self.seed))
        return self.real if train is stored.pictures else reference_of(self.extractor, source, self.seed)[0]

    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        self.extractor.to(module.device)
        fake = gather(self.extractor, Generated(module, self.pictures, self.count, self.seed), MOST, self.seed)
        return compared(self.names, self.extractor, Evidence(self.real, fake, self.seed, self.train), self.protocol)
