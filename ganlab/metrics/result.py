"""A number with what it takes to know what it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Result:
    """`value`, its `spread` (one standard deviation, where there is one) and the protocol it was measured under.

    Two results compare only when their protocols are equal.
    """

    value: float
    spread: float | None = None
    protocol: dict[str, Any] = field(default_factory=dict)

    def differs(self, other: Result) -> list[str]:
        """Names of the protocol's fields that keep the two numbers from being compared."""
        names = sorted(self.protocol.keys() | other.protocol.keys())
        return [name for name in names if self.protocol.get(name) != other.protocol.get(name)]

    def __str__(self) -> str:
        return f"{self.value:.4g}" if self.spread is None else f"{self.value:.4g} ± {self.spread:.2g}"
