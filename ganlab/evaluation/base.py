"""What measures a generator."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ganlab.core.generative import GenerativeModule
from ganlab.metrics.result import Result


class Ruler(ABC):
    """Numbers about a generator; `better` is the sign of improvement of the one called `leading`."""

    leading: str
    better: int

    @abstractmethod
    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        """By name, with the protocol each was measured under."""
