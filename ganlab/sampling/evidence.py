"""A discriminator's scores of held-out real pictures and of generated ones, and a test of their reliability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.core.density_ratio import RatioGame
from ganlab.data.batch import Condition, take, to_float
from ganlab.data.pictures import Pictures
from ganlab.data.progress import progress
from ganlab.data.rows import some_rows
from ganlab.sampling.calibration import Calibration, Isotonic, Platt, Unchanged, brier, fit_line, z_statistic
from ganlab.sampling.drawing import on_device

BATCH = 64
SEED = 0  # of the calibration: pictures depend on their own seeds alone

CALIBRATIONS: dict[str, Callable[[Tensor, Tensor], Calibration]] = {
    "platt": Platt.fit,
    "isotonic": Isotonic.fit,
    "none": lambda scores, labels: Unchanged(),
}


@dataclass(frozen=True)
class Evidence:
    """Uncalibrated log density ratios: `real` (N,) of held-out pictures, `fake` (N,) of generated ones.

    `condition`: N rows, those of the real pictures. Both kinds have the same.
    """

    real: Tensor
    fake: Tensor
    condition: Condition

    @classmethod
    @torch.no_grad()
    def gather(cls, game: RatioGame, pictures: Pictures, count: int) -> Evidence:
        """Return at most `count` real pictures, always the same ones, and as many of the averaged generator."""
        rows = torch.from_numpy(some_rows(len(pictures), count, SEED))
        noise = torch.Generator().manual_seed(SEED)
        real, fake = [], []
        parts = torch.split(rows, BATCH)
        for part in progress(parts, len(parts), "judging held-out pictures, by batches:"):
            condition = on_device(take(pictures.condition, part), game.device)
            images = to_float(pictures.get(part.numpy())).to(game.device)
            real.append(game.log_density_ratio(images, condition).cpu())
            drawn = game.generate_with_grad(game.draw_latent(len(part), noise), condition)
            fake.append(game.log_density_ratio(drawn, condition).cpu())
        return cls(torch.cat(real), torch.cat(fake), take(pictures.condition, rows))

    def half(self, first: int) -> tuple[Tensor, Tensor]:
        """Return every second score of either kind, from `first` (0 or 1) on, with labels."""
        real, fake = self.real[first::2], self.fake[first::2]
        return torch.cat([real, fake]), torch.cat([torch.ones(len(real)), torch.zeros(len(fake))])


@dataclass(frozen=True)
class Verdict:
    """The reliability of a discriminator: a calibration is fitted on one half of the evidence, measured on the other.

    `slope`, `intercept`: of the line that would correct its log ratios, 1 and 0 if they are calibrated; `error`: the
    slope's standard error. Brier scores and Z statistics before and after the calibration.
    """

    slope: float
    intercept: float
    error: float
    brier: tuple[float, float]
    z: tuple[float, float]

    @classmethod
    def on(cls, evidence: Evidence, calibration: Calibration) -> Verdict:
        """Return the calibration's quality on the half of the evidence that it was not fitted to."""
        line = fit_line(*evidence.half(0))
        scores, labels = evidence.half(1)
        versions = (scores, calibration(scores))
        before, after = ((brier(version, labels), z_statistic(version, labels)) for version in versions)
        return cls(line.slope, line.intercept, line.error, (before[0], after[0]), (before[1], after[1]))

    @property
    def generalizes(self) -> bool:
        """Return whether the fitted slope on unseen pictures is positive by more than two standard errors."""
        return self.slope > 2 * self.error

    def __str__(self) -> str:
        return (
            f"slope {self.slope:.3g} ± {self.error:.2g}, intercept {self.intercept:.3g}; Brier {self.brier[0]:.3f} -> "
            f"{self.brier[1]:.3f} (0.25 knows nothing), Z {self.z[0]:.1f} -> {self.z[1]:.1f}"
        )
