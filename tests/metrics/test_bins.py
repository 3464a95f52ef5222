"""Bins: a perfect generator differs by chance in a known share of them, and a lost mode shows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganlab.metrics.bins import bin_report, z_scores


def clusters(count: int, seed: int, kinds: int = 10) -> Tensor:
    """Samples of `kinds` of 10 narrow Gaussians in 8 dimensions."""
    random = torch.Generator().manual_seed(seed)
    centers = 4 * torch.randn(10, 8, generator=torch.Generator().manual_seed(7))
    return centers[torch.randint(kinds, (count,), generator=random)] + 0.3 * torch.randn(count, 8, generator=random)


def report(real: Tensor, fake: Tensor, bins: int = 20):
    return bin_report(real, fake, bins, generator=torch.Generator().manual_seed(0))


def test_two_proportions_in_closed_form():
    """30 of 100 against 50 of 100: (0.3 - 0.5) / sqrt(0.4 * 0.6 * 2 / 100) = -2.887; an empty bin says nothing."""
    found = z_scores(torch.tensor([30, 70, 0]), torch.tensor([50, 50, 0]))
    assert found.tolist() == pytest.approx([-2.88675, 2.88675, 0], abs=1e-5)


def test_fresh_samples_differ_in_a_twentieth_of_the_bins():
    """And JS is near (K - 1)(1/M + 1/N) / 8 = 19 / 4000 = 0.00475."""
    found = [report(clusters(1000, s), clusters(1000, 50 + s)) for s in range(20)]
    assert sum(one.different for one in found) / 20 == pytest.approx(0.05, abs=0.04)
    assert sum(one.js for one in found) / 20 == pytest.approx(0.00475, rel=0.25)
    assert all(one.missing == 0 for one in found)


def test_a_lost_mode_is_seen_by_js_and_hardly_by_the_count():
    found = report(clusters(1000, 0), clusters(1000, 1, kinds=9))
    assert found.missing == 1 and found.js > 0.02 and found.js > 0.00475 + 5 * found.js_spread
    assert found.different < 0.2


def test_half_of_the_modes_lost_differ_everywhere():
    assert report(clusters(1000, 0), clusters(1000, 1, kinds=5)).different > 0.7


def test_the_error_of_js_is_the_deviation_over_draws_or_a_little_more():
    real = clusters(1000, 0)
    found = [report(real, clusters(500, 100 + s, kinds=8)) for s in range(60)]
    deviation = torch.tensor([one.js for one in found]).std().item()
    assert 0.8 < sum(one.js_spread for one in found) / 60 / deviation < 1.6


def test_fewer_points_than_bins():
    found = report(torch.eye(8)[[0, 1, 2] * 5], torch.eye(8)[[0, 1] * 5])
    assert found.bins == 3 and found.missing == 1
