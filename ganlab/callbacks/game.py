"""How the game stands on pictures that the discriminator was never trained on.

On training pictures a discriminator manufactures divergence by remembering them; held out, the
estimate is a lower bound.
"""

from __future__ import annotations

import numpy as np
import pytorch_lightning as pl

from ganlab.callbacks.measurement import EveryIterations, Measurement, Values, positive
from ganlab.config.ranges import PositiveInt, SampleCount, Seed
from ganlab.core.generative import GenerativeModule
from ganlab.data.rows import some_rows


class Standing(Measurement):
    """Logs what the variant reports: `held_out/divergence` (nats), `held_out/realism_accuracy` and the like.

    `every`: iterations between two looks. `count`: held-out pictures, always the same ones, against as many generated.
    """

    what = "how the game stands"

    def __init__(self, every: PositiveInt = 100, count: SampleCount = 256, seed: Seed = 0) -> None:
        super().__init__(EveryIterations(positive("every", every)))
        self.count, self.seed = positive("count", count), seed

    def measure(self, trainer: pl.Trainer, module: GenerativeModule) -> Values:
        reference = trainer.datamodule.reference  # type: ignore[attr-defined]
        rows = some_rows(len(reference), self.count, self.seed)
        report = module.held_out_report(reference.batch(rows, np.random.default_rng(self.seed)), self.seed)
        return {f"held_out/{name}": float(value) for name, value in report.items()}
