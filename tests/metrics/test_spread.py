"""Standard errors in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from ganlab.metrics.spread import jackknife, standard_error


def test_standard_error_of_a_mean():
    """1, 2, 3, 4: deviation sqrt(5/3) over sqrt(4)."""
    assert standard_error(torch.tensor([1.0, 2.0, 3.0, 4.0])) == pytest.approx((5 / 3) ** 0.5 / 2, rel=1e-12)
    assert math.isnan(standard_error(torch.tensor([1.0])))


def test_jackknife_of_a_mean_is_its_standard_error():
    """With a row a group, exactly (Efron & Stein 1981)."""
    x = torch.randn(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert jackknife(lambda rows: float(rows.mean()), x, groups=40) == pytest.approx(standard_error(x), rel=1e-9)


def test_jackknife_in_groups_is_near_it():
    x = torch.randn(4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = jackknife(lambda rows: float(rows.square().mean()), x)
    assert found == pytest.approx((2 / 4000) ** 0.5, rel=0.5)
