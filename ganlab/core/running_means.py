"""Running means of logged values between two rows of the log. Plain torch."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class RunningMeans:
    """Means of named scalars since they were last read. Sums stay on the device until then."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, value: Tensor) -> None:
        """Add one value to the mean of this name."""
        self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value
        self.counts[name] = self.counts.get(name, 0) + 1

    def peek(self) -> dict[str, Tensor]:
        """Return the means by name."""
        return {name: total / self.counts[name] for name, total in self.sums.items()}

    def read(self) -> dict[str, Tensor]:
        """Return the means by name, and reset them."""
        means = self.peek()
        self.sums, self.counts = {}, {}
        return means
