"""A number with its spread and protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ganlab.config.words import ORIGIN
from ganlab.metrics.spread import standard_error


@dataclass
class Result:
    """A number `value`, its `spread` (one standard deviation; None if unknown) and the protocol of its measurement.

    Two results compare only if their protocols are equal but for `ORIGIN`. `beside`: further numbers of the same
    measurement, by name.
    """

    value: float
    spread: float | None = None
    protocol: dict[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Result] = field(default_factory=dict)

    @classmethod
    def of(cls, found: tuple[float, float | None], **protocol: Any) -> Result:
        """Return the result of an estimate, which is a value and its standard error."""
        return cls(*found, protocol)

    @classmethod
    def mean(cls, values: Tensor, **protocol: Any) -> Result:
        """Return the mean of independent values (N,) with its standard error."""
        return cls(float(values.mean()), standard_error(values), protocol)

    def differs(self, other: Result) -> list[str]:
        """Return the names of the protocol's fields that keep the two numbers from being compared, sorted."""
        names = sorted((self.protocol.keys() | other.protocol.keys()) - {ORIGIN})
        return [name for name in names if self.protocol.get(name) != other.protocol.get(name)]

    def __str__(self) -> str:
        return f"{self.value:.4g}" if self.spread is None else f"{self.value:.4g} ± {self.spread:.2g}"
