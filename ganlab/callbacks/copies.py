"""At the end of a run on few pictures: how many samples are copies of training pictures, in words and in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from ganlab.callbacks.measurement import Measurement, Never, Values, positive
from ganlab.collapse.diagnostics import OVERFITTED, overfitting
from ganlab.config.ranges import SampleCount, Seed
from ganlab.console import from_here
from ganlab.core.adversarial import AdversarialModule
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import GanData
from ganlab.data.pictures import Pictures
from ganlab.data.rows import some_rows
from ganlab.errors import UserError
from ganlab.evaluation.extract import real_features
from ganlab.evaluation.sources import generated
from ganlab.files.durable import atomic_write
from ganlab.files.run_folder import RunFolder
from ganlab.loggers.sheet import comparison, png
from ganlab.metrics.copying import copying, nearest, twin_distance
from ganlab.metrics.extractors import checked_extractor, extractor_named

ACROSS = 4  # pairs in a row of the sheet
SLIGHT = 0.3  # of overfitting: below, held-out pictures are judged nearly like training pictures


class Copies(NamedTuple):
    """The findings. near: the number of near copies among `samples`; near_held_out: among `held_out` pictures.

    copying: the probability that a sample is nearer to a training picture than these are to one another. overfitting:
    from 0 to 1; None if no pictures are held out, or if there is no discriminator.
    """

    near: int
    samples: int
    near_held_out: int
    held_out: int
    copying: float
    overfitting: float | None
    sheet: Path

    def words(self) -> list[str]:
        """Return the findings in sentences."""
        beside = f" ({self.near_held_out} of {self.held_out} held-out pictures are)" if self.held_out else ""
        return [
            f"{self.near} of {self.samples} samples are near copies of a training picture{beside}: "
            f"{from_here(self.sheet)}",
            f"in {100 * self.copying:.0f} of 100 cases a sample is nearer to a training picture than a training "
            "picture to its nearest other: 50 for new pictures of the same kind, 100 for copies, fewer for others",
            self._overfitting_in_words(),
        ]

    def _overfitting_in_words(self) -> str:
        if self.overfitting is None:
            return "overfitting is unknown, because no pictures are held out: pass data.held_out=0.1"
        judged = "nearly like training pictures" if self.overfitting < SLIGHT else "less real than training pictures"
        if self.overfitting >= OVERFITTED:
            judged = "like generated ones: it knows its training pictures by heart"
        return f"overfitting {self.overfitting:.2f}: the discriminator judges held-out pictures {judged}"


class CopyReport(Measurement):
    """Measures at the end how many samples are near copies of a training picture, and whether the game overfits.

    A sample is a near copy if its distance to a training picture, or to a mirrored one if the data are mirrored, is at
    most half the median distance between a training picture and its nearest other. `samples/copies.png` shows each
    sample beside its nearest training picture, the nearest pair first.

    Args:
        count: Samples.
        extractor: "imagenet", or another one that `python -m ganlab.evaluate --help` lists. Distances are those of its
            features.
        seed: Of latents and conditions.
    """

    what = "copies"

    def __init__(self, count: SampleCount = 64, extractor: str = "imagenet", seed: Seed = 0) -> None:
        super().__init__(Never())
        self.count, self.extractor, self.seed = positive("count", count), checked_extractor(extractor), seed
        self.found: Copies | None = None

    def measure(self, trainer: pl.Trainer, module: GenerativeModule) -> Values:
        """Measure, and save the sheet."""
        if len(module.spec.shape) != 3:
            raise UserError("points have no copies")
        data: GanData = trainer.datamodule  # type: ignore[attr-defined]
        samples = torch.cat(list(generated(module, data.train, self.count, self.seed))).cpu()
        sheet = RunFolder(Path(trainer.default_root_dir)).samples / "copies.png"
        self.found = self._compare(data, samples, module, sheet)
        values = {"near_copies": self.found.near / len(samples), "copying": self.found.copying}
        if self.found.overfitting is not None:
            values["overfitting"] = self.found.overfitting
        return {f"copies/{name}": value for name, value in values.items()}

    def _compare(self, data: GanData, samples: Tensor, module: GenerativeModule, sheet: Path) -> Copies:
        network = extractor_named(self.extractor).to(module.device)
        own, pool = _pool(data.train)
        train = real_features(network, data.train, own)
        every = real_features(network, pool, np.arange(len(pool)))
        fake = network(samples.to(module.device)).cpu()
        near = twin_distance(train)
        distances, rows = nearest(fake, every)
        order = distances.argsort()
        pairs = {"sample": samples[order], "nearest": pool.get(rows[order].numpy())}
        atomic_write(sheet, png(comparison(pairs, ACROSS)))
        others = _held_out(data)
        held_out = real_features(network, data.reference, others) if len(others) else every[:0]
        return Copies(
            int((distances <= near).sum()),
            len(samples),
            int((nearest(held_out, every)[0] <= near).sum()) if len(others) else 0,
            len(others),
            copying(fake, train).probability,
            self._overfitting(data, module) if len(others) else None,
            sheet,
        )

    def _overfitting(self, data: GanData, module: GenerativeModule) -> float | None:
        if not isinstance(module, AdversarialModule):
            return None
        random = np.random.default_rng(self.seed)
        train, held_out = (
            pictures.batch(some_rows(len(pictures), self.count, self.seed), random)
            for pictures in (data.train, data.reference)
        )
        found = overfitting(*module.held_out_logits(train, held_out, self.seed))
        return min(1.0, max(0.0, found))  # the ratio leaves [0, 1] if the gap that divides it is small

    def summary(self) -> dict[str, Any]:
        """Return the findings in plain values and in words. Empty before the end."""
        return {} if self.found is None else {**self.found._asdict(), "words": self.found.words()}


def _pool(train: Pictures) -> tuple[np.ndarray, Pictures]:
    """Return all rows of the training pictures, and a set of them with the mirrored ones beside."""
    rows = np.arange(len(train))
    images = train.get(rows)
    mirrored = images[torch.from_numpy(np.broadcast_to(train.flip, len(train)).copy())].flip(-1)
    return rows, Pictures(torch.cat([images, mirrored]))


def _held_out(data: GanData) -> np.ndarray:
    """Return the rows of the held-out pictures. Empty if the training pictures take their place."""
    return np.arange(0 if data.reference is data.train else len(data.reference))
