"""Measure the game on held-out images, on which the discriminator was never trained.

On training images a discriminator can increase the estimated divergence by memorizing them. On held-out images the
estimate is a lower bound.
"""

from __future__ import annotations

import numpy as np
import pytorch_lightning as pl

from ganlab.callbacks.measurement import EveryIterations, Measurement, Values, positive
from ganlab.config.ranges import PositiveInt, SampleCount, Seed
from ganlab.core.generative import GenerativeModule
from ganlab.data.rows import some_rows


class HeldOut(Measurement):
    """Logs the variant's report on held-out images: `held_out/divergence` (nats), `held_out/realism_accuracy`, ...

    every: iterations between two measurements.
    count: held-out images, the same ones every time, against as many generated ones.
    """

    what = "the game on held-out images"

    def __init__(self, every: PositiveInt = 100, count: SampleCount = 256, seed: Seed = 0) -> None:
        super().__init__(EveryIterations(positive("every", every)))
        self.count, self.seed = positive("count", count), seed

    def measure(self, trainer: pl.Trainer, module: GenerativeModule) -> Values:
        """Return the report, each name with the prefix `held_out/`."""
        reference = trainer.datamodule.reference  # type: ignore[attr-defined]
        rows = some_rows(len(reference), self.count, self.seed)
        report = module.held_out_report(reference.batch(rows, np.random.default_rng(self.seed)), self.seed)
        return {f"held_out/{name}": float(value) for name, value in report.items()}
