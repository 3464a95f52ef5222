"""Learned by heart or not: what fresh samples, copies and twins measure."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganlab.metrics.copying import birthday_support, copying, nearest_distances, twin_distance, twins


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


def test_twins_are_counted_by_pairs():
    """0, 0.1 and 0.15 are three pairs, 5 is alone: 3 of 4 have a twin; 4 * 3 / (2 * 3) = 2 different ones."""
    found = twins(torch.tensor([[0.0], [0.1], [0.15], [5.0]]), 0.2)
    assert (found.share, found.pairs, found.support) == (0.75, 3, 2.0)
    assert twins(torch.tensor([[0.0], [1.0]]), 0.5).support is None


@pytest.mark.parametrize("size", [10, 300])
def test_the_support_of_a_generator_with_few_pictures_is_found(size: int):
    """2,000 draws, more than a block of rows, of `size` different points."""
    rows = torch.randint(size, (2000,), generator=torch.Generator().manual_seed(0))
    found = twins(normal(size, 1)[rows], 1e-3)
    assert found.support == pytest.approx(size, rel=0.1) and found.share > 0.99


def test_fresh_samples_have_hardly_a_twin():
    real, fake = normal(1000, 0), normal(1000, 1)
    assert twins(fake, twin_distance(real)).share < 0.05


def test_the_birthday_rule():
    """s = 400, p = 1/2: 160,000 / (2 ln 2) = 115,416."""
    assert birthday_support(400, 0.5) == pytest.approx(115_416, rel=1e-4)
