"""CMMD in closed form; KID's own tests are in test_fidelity."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ganlab.metrics.feature_sets import RealSide
from ganlab.metrics.features import Small
from ganlab.metrics.gathering import Sample
from ganlab.metrics.kernels import KernelDistance, cmmd, kid
from ganlab.metrics.target import Target


def unit(count: int, dim: int, seed: int = 0, lean: float = 0.0) -> Tensor:
    """Directions, leaning to the first axis."""
    x = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x[:, 0] += lean
    return x / x.norm(dim=1, keepdim=True)


def test_equal_sets_score_nothing():
    x = unit(50, 8)
    assert cmmd(x, x.flip(0)).value == pytest.approx(0, abs=1e-9)


def test_two_points_in_closed_form():
    """All reals e1, all fakes e2, |e1 - e2|^2 = 2: 1000 (1 + 1 - 2 exp(-2 / 200)) = 2000 (1 - exp(-0.01))."""
    e1, e2 = torch.eye(4)[[0] * 5], torch.eye(4)[[1] * 7]
    found = cmmd(e1, e2)
    assert found.value == pytest.approx(2000 * (1 - math.exp(-0.01)), rel=1e-12)
    assert found.spread == pytest.approx(0, abs=1e-12)


def test_length_does_not_matter():
    x, y = unit(30, 8), unit(40, 8, 1)
    assert cmmd(3 * x, 0.1 * y).value == pytest.approx(cmmd(x, y).value, rel=1e-9)


def test_it_is_the_double_sum():
    x, y = unit(6, 3), unit(5, 3, 1)

    def mean(a: Tensor, b: Tensor) -> float:
        return sum(math.exp(-float((u - v).square().sum()) / 200) for u in a for v in b) / (len(a) * len(b))

    assert cmmd(x, y).value == pytest.approx(1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y)), rel=1e-9)


def test_the_floor_of_a_perfect_generator():
    """E = 1000 (1/M + 1/N)(1 - mean k), the pairs of a sample with itself; k is nearly 1 - (1 - x.y) / 100 here."""
    found = [cmmd(unit(200, 16, s), unit(200, 16, 100 + s)).value for s in range(20)]
    assert sum(found) / 20 == pytest.approx(1000 * (2 / 200) * (1 - math.exp(-0.01)), rel=0.1)


def test_the_standard_error_is_the_deviation_over_draws():
    """Fakes that lean to one side, so that the distance is not at its floor."""
    real = unit(1000, 16)
    found = [cmmd(real, unit(100, 16, seed, 2.0)) for seed in range(1, 101)]
    deviation = torch.tensor([one.value for one in found]).std().item()
    assert sum(one.spread or 0 for one in found) / 100 == pytest.approx(deviation, rel=0.25)


def test_subsets_of_few_samples_are_half_of_them():
    """Of 40 reals and 60 fakes: 50 subsets of 20; larger ones would be nearly the same set each time."""
    real, fake = (torch.randn(count, 64, generator=torch.Generator().manual_seed(count)) for count in (40, 60))
    side = RealSide(Small(), Sample.of(real), {})
    metric = KernelDistance(Target(60, make_real=lambda: side))
    metric.sets.__dict__["fake"] = Sample.of(fake)
    found = metric.compute()
    assert found.protocol == {"subsets": 50, "subset_size": 20}
    assert (found.value, found.spread) == kid(real, fake, 50, 20, torch.Generator().manual_seed(0))
