"""Points whose density has known modes."""

from __future__ import annotations

from typing import Any

import torch

from ganlab.core.generative import GenerativeModule
from ganlab.data.base import Modes
from ganlab.data.pictures import Pictures
from ganlab.evaluation.base import Ruler
from ganlab.evaluation.evidence import generated
from ganlab.metrics.diversity import modes
from ganlab.metrics.result import Result
from ganlab.metrics.spread import share_error


class ModeRuler(Ruler):
    """How many known modes are hit, and how many of the points hit one."""

    leading, better = "modes_and_quality", 1

    def __init__(self, known: Modes, pictures: Pictures, count: int, seed: int) -> None:
        self.known, self.pictures, self.count, self.seed = known, pictures, count, seed

    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        points = torch.cat([part.cpu() for part in generated(module, self.pictures, self.count, self.seed)])
        report = modes(points, self.known.centers, self.known.sigma)
        protocol: dict[str, Any] = {
            "samples": self.count,
            "seed": self.seed,
            "radius": "3 sigma",
            "modes": report.total,
        }
        values = {
            "modes_captured": float(report.captured),
            "high_quality": report.high_quality,
            "mode_kl": report.kl,
            self.leading: report.captured / report.total * report.high_quality,
        }
        spread = {"high_quality": share_error(report.high_quality, len(points))}
        return {name: Result(value, spread.get(name), protocol) for name, value in values.items()}
