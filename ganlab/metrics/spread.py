"""Standard errors: the deviation of a number between draws of the samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Estimate(NamedTuple):
    """A number and its standard error, which is None if it is unknown."""

    value: float
    spread: float | None


def mean_estimate(values: Tensor) -> Estimate:
    """Return the mean of independent values (N,) and its standard error."""
    return Estimate(float(values.mean()), standard_error(values))


def standard_error(values: Tensor) -> float:
    """Return the standard error of the mean of independent values (N,): deviation / sqrt(N); NaN if N < 2."""
    return float(values.double().std()) / len(values) ** 0.5 if len(values) > 1 else float("nan")


def share_error(share: float, count: int) -> float:
    """Return the standard error of a share of `count` independent samples: sqrt(p (1 - p) / n)."""
    return (share * (1 - share) / count) ** 0.5


def jackknife(measure: Callable[[Tensor], float], rows: Tensor, groups: int = 10) -> float:
    """Return the standard error of `measure(rows)` by leaving out each `groups`-th row in turn (Efron & Stein 1981).

    sqrt((g - 1)/g sum (m_i - mean m)^2). For a mean it is the standard error of the groups' means.
    """
    kept = torch.arange(len(rows), device=rows.device) % groups
    values = torch.tensor([measure(rows[kept != group]) for group in range(groups)], dtype=torch.float64)
    return float(((groups - 1) / groups * (values - values.mean()).square().sum()).sqrt())
