"""Features of real and of generated pictures from one extractor, which most metrics compare."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from ganlab.data.rows import some_rows
from ganlab.errors import UserError
from ganlab.metrics.features import Extractor
from ganlab.metrics.gathering import MOST, Gathering, Sample
from ganlab.metrics.samples import Samples
from ganlab.processes import Divide, alone

T = TypeVar("T")


def unknown() -> None:
    """Return None: the training data of the generator are unknown."""


@dataclass(frozen=True, eq=False)
class RealSide:
    """Features of real pictures, and `facts` that identify the pictures.

    make_train: returns the features of the generator's training pictures, or None. It is slow.
    """

    extractor: Extractor
    real: Sample
    facts: dict[str, Any]
    make_train: Callable[[], Sample | None] = unknown

    @cached_property
    def train(self) -> Sample | None:
        """Return the result of `make_train`, computed once."""
        return self.make_train()


class Extraction:
    """Extraction of features in batches of the extractor's size, for pictures that come in batches of any size."""

    def __init__(self, extractor: Extractor, total: int, seed: int, most: int) -> None:
        self.extractor = extractor
        self.gathering = Gathering(extractor.dim, total, extractor.classes, most, seed)
        self._held: list[tuple[Tensor, Tensor]] = []
        self._labels: list[Hashable] = []

    def add(self, samples: Samples) -> None:
        """Add one batch of pictures uint8 (N, C, H, W), all of one size. Places must be new."""
        size = self.extractor.batch
        device = next(self.extractor.parameters(), torch.empty(0)).device
        for start in range(0, len(samples.images), size):
            part = slice(start, start + size)
            prepared = self.extractor.prepare(samples.images[part].to(device))
            if self._held and not self._fits(prepared):
                self._look()
            self._held.append((prepared, samples.places[part]))
            self._labels += samples.labels[part]

    def _fits(self, prepared: Tensor) -> bool:
        """Return whether the held pictures and these fit into one batch."""
        held = sum(len(images) for images, _ in self._held) + len(prepared)
        return self._held[0][0].shape[1:] == prepared.shape[1:] and held <= self.extractor.batch

    def _look(self) -> None:
        images, places = (torch.cat(parts) for parts in zip(*self._held, strict=True))
        self.gathering.add(*self.extractor.look(images), self._labels, places)
        self._held, self._labels = [], []

    def finish(self) -> Gathering:
        """Return the accumulated features, including those of the last pictures."""
        if self._held:
            self._look()
        return self.gathering

    def sample(self) -> Sample:
        """Return the features of all pictures so far. Raise `UserError` for fewer than two."""
        gathering = self.finish()
        if gathering.seen < 2:
            raise UserError(f"at least 2 pictures that can be read are needed, got {gathering.seen}")
        return gathering.sample()


class FeatureSets:
    """Features of real pictures and of at most `count` generated ones. seed: of random choices."""

    def __init__(self, side: RealSide, count: int, seed: int = 0) -> None:
        self.side, self.seed = side, seed
        self._fakes = Extraction(side.extractor, count, seed, MOST)
        self._came = torch.zeros(count, dtype=torch.bool)
        self._synchronized = False

    @property
    def extractor(self) -> Extractor:
        """Return the extractor of both kinds."""
        return self.side.extractor

    @property
    def real(self) -> Sample:
        """Return the real pictures."""
        return self.side.real

    @property
    def train(self) -> Sample | None:
        """Return the features of the generator's training pictures; None if unknown. Slow the first time."""
        return self.side.train

    @cached_property
    def fake(self) -> Sample:
        """Return the features of the generated pictures. None may be added after that."""
        return self._fakes.sample()

    def update(self, samples: Samples) -> None:
        """Add a batch of generated pictures. Places that were added before are ignored."""
        new = ~self._came[samples.places]
        self._came[samples.places] = True
        if new.any():
            self._fakes.add(samples if new.all() else samples.part(new))

    def synchronize(self) -> None:
        """Exchange the generated pictures of all processes, once. Every process must call this."""
        if not self._synchronized:
            self._fakes.finish().synchronize()
        self._synchronized = True

    @property
    def protocol(self) -> dict[str, Any]:
        """Return the extractor's protocol, the counts of both kinds and the facts of the real side."""
        counts = {"reals": self.real.count or "unknown", "fakes": self.fake.count, "kept": MOST}
        return {**self.extractor.protocol, **counts, **self.side.facts}

    @property
    def pairs(self) -> int:
        """Return the smaller number of features that were kept of the two kinds."""
        return min(len(self.real.features), len(self.fake.features))

    @cached_property
    def alike(self) -> tuple[Tensor, Tensor]:
        """Return as many reals as fakes, (pairs, D) each, because balls and bins depend on the number."""
        real, fake = (
            one.features[torch.from_numpy(some_rows(len(one.features), self.pairs, self.seed))]
            for one in (self.real, self.fake)
        )
        return real, fake

    @property
    def random(self) -> torch.Generator:
        """Return a new generator with the seed of the measurement."""
        return torch.Generator().manual_seed(self.seed)

    def once(self, make: Callable[[FeatureSets, Divide], T], divide: Divide = alone) -> T:
        """Return `make(self, divide)`, computed once for all metrics. divide: who does which part of the work."""
        if make not in self._made:
            self._made[make] = make(self, divide)
        found: T = self._made[make]
        return found

    @cached_property
    def _made(self) -> dict[Callable[[FeatureSets, Divide], Any], Any]:
        return {}
