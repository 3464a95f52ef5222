"""Learned by heart or not: what fresh samples, copies and twins measure."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganlab.metrics.copying import copying, have_twins, nearest_distances, twin_distance
from ganlab.metrics.fidelity import neighbour_distances


def normal(count: int, seed: int, dim: int = 8) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_nearest_on_a_line():
    pool = torch.tensor([[0.0], [10.0]])
    assert nearest_distances(torch.tensor([[1.0], [7.0], [10.0]]), pool).tolist() == pytest.approx([1, 3, 0], abs=1e-6)


def test_fresh_samples_are_as_near_as_training_samples_to_one_another():
    found = [copying(normal(500, s), normal(500, 50 + s)) for s in range(10)]
    assert sum(one.probability for one in found) / 10 == pytest.approx(0.5, abs=0.02)
    assert sum(one.ratio for one in found) / 10 == pytest.approx(1, abs=0.03)


def test_copies_are_nearer_than_anything():
    train = normal(500, 0)
    found = copying(train[:50].repeat(4, 1) + 1e-3 * normal(200, 1), train)
    assert found.probability > 0.999 and found.ratio < 0.01


def test_some_copies_among_fresh_ones():
    """A fifth are copies: 0.2 * 1 + 0.8 * 0.5 = 0.6, and the error says that this is no chance."""
    train = normal(1000, 0)
    found = copying(torch.cat([train[:100], normal(400, 1)]), train)
    assert found.probability == pytest.approx(0.6, abs=0.03)
    assert (found.probability - 0.5) / found.spread > 4


def test_the_error_is_the_deviation_over_draws():
    found = [copying(normal(100, s), normal(200, 500 + s)) for s in range(100)]
    deviation = torch.tensor([one.probability for one in found]).std().item()
    assert sum(one.spread for one in found) / 100 == pytest.approx(deviation, rel=0.25)


def test_ties_count_half():
    """Every distance is 1: neither nearer nor farther."""
    train = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    assert copying(torch.tensor([[-1.0], [4.0]]), train).probability == 0.5


def test_who_has_a_twin():
    """0, 0.1 and 0.15 have another within 0.1, its edge included; 5 is alone."""
    x = torch.tensor([[0.0], [0.1], [0.15], [5.0]], dtype=torch.float64)
    assert have_twins(neighbour_distances(x, 1), 0.1).tolist() == [1, 1, 1, 0]
    assert have_twins(torch.tensor([0.1, 0.2]), 0.1).tolist() == [1, 0]


def test_draws_from_few_pictures_have_twins():
    """2,000 draws, more than a block of rows, of 300 different points."""
    rows = torch.randint(300, (2000,), generator=torch.Generator().manual_seed(0))
    assert have_twins(neighbour_distances(normal(300, 1)[rows], 1), 1e-3).mean() > 0.99


def test_fresh_samples_have_hardly_a_twin():
    real, fake = normal(1000, 0), normal(1000, 1)
    assert have_twins(neighbour_distances(fake, 1), twin_distance(real)).mean() < 0.05
