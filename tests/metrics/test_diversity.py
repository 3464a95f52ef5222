"""Bins, modes and effective numbers: known configurations and known ceilings."""

import math
from statistics import fmean

import pytest
import torch

from ganlab.metrics.conditional import variety_per_condition
from ganlab.metrics.diversity import histogram, js_divergence, k_means, vendi
from ganlab.metrics.fidelity import members
from ganlab.metrics.modes import kl_to_uniform, modes, uniform_floor


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clusters(counts: list[int], seed: int = 0, sigma: float = 0.05) -> torch.Tensor:
    """That many points around each corner of a regular polygon with as many corners as counts."""
    angles = torch.arange(len(counts)) * 2 * math.pi / len(counts)
    centers = torch.stack([angles.cos(), angles.sin()], 1)
    rows = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return centers[rows] + sigma * torch.randn(len(rows), 2, generator=random(seed))


def test_js_divergence_in_nats():
    """p = (1/2, 1/2), q = (1, 0), m = (3/4, 1/4): (1/2 log 2/3 + 1/2 log 2 + log 4/3) / 2 = 0.215762."""
    assert js_divergence(torch.tensor([5, 5]), torch.tensor([3, 0])) == pytest.approx(0.2157616, abs=1e-7)
    assert js_divergence(torch.tensor([3, 0]), torch.tensor([5, 5])) == pytest.approx(0.2157616, abs=1e-7)


def test_bins_empty_in_both_add_nothing():
    assert js_divergence(torch.tensor([1, 0, 3]), torch.tensor([1, 0, 3])) == pytest.approx(0, abs=1e-15)


def test_k_means_finds_separate_clusters():
    points = clusters([30, 50, 20, 40])
    assert sorted(histogram(points, k_means(points, 4, random())).tolist()) == [20, 30, 40, 50]


def test_k_means_with_fewer_distinct_points_than_bins():
    points = torch.tensor([[0.0], [0.0], [2.0]])
    assert sorted(k_means(points, 5, random()).flatten().tolist()) == [0, 2]


def test_recall_falls_when_modes_shrink():
    real = clusters([50] * 4)
    wide, narrow = (members(real, clusters([50] * 4, 1, sigma)).recall.mean() for sigma in (0.05, 0.005))
    assert wide > 0.8 > 0.5 > narrow


def test_modes_of_a_perfect_ring():
    """3-sigma mass in two dimensions: 1 - exp(-9/2) = 0.98889; KL of the counts about (K - 1) / 2N = 0.00014."""
    points, centers = clusters([3125] * 8, sigma=0.01), clusters([1] * 8, sigma=0)
    shuffled = points[torch.randint(len(points), (25000,), generator=random())]
    report = modes(shuffled, centers, 0.01)
    assert (report.captured, report.total) == (8, 8)
    assert report.high_quality == pytest.approx(1 - math.exp(-4.5), abs=4.5 * 0.105 / 25000**0.5 + 0.001)
    assert 0 < report.kl < 0.001


def test_modes_of_a_collapsed_ring():
    """Two modes of eight, equally often: KL = log 4; a single stray sample is a mode unless two are asked for."""
    centers = clusters([1] * 8, sigma=0)
    report = modes(centers[[0] * 50 + [1] * 50], centers, 0.01)
    assert (report.captured, report.high_quality) == (2, 1) and report.kl == pytest.approx(math.log(4))
    stray = centers[[0] * 50 + [1]]
    assert modes(stray, centers, 0.01).captured == 2 and modes(stray, centers, 0.01, at_least=2).captured == 1


def test_modes_of_samples_that_hit_nothing():
    report = modes(torch.zeros(10, 2), clusters([1] * 8, sigma=0), 0.01)
    assert (report.captured, report.high_quality) == (0, 0) and report.kl == pytest.approx(math.log(8))


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (torch.eye(20), 20),
        (torch.ones(20, 5), 1),
        (torch.eye(8).repeat(25, 1), 8),
        (torch.eye(30)[:10], 10),
        (torch.zeros(5, 3), 1),
        (torch.cat([torch.eye(3), torch.zeros(1, 3)]), 4),
    ],
)
def test_vendi_counts_different_samples(features: torch.Tensor, expected: float):
    assert vendi(features) == pytest.approx(expected, rel=1e-9)


def test_variety_within_conditions_is_blind_to_variety_between_them() -> None:
    """Pairs 1 apart under "a" and 3 apart under "b", far from each other: (1 + 3) / 2. "c" has one sample only."""
    features = torch.tensor([[0.0], [100.0], [1.0], [103.0], [50.0]])
    assert fmean(variety_per_condition(features, ["a", "b", "a", "b", "c"]).values()) == pytest.approx(2.0)
    assert set(variety_per_condition(torch.zeros(4, 2), [0, 0, 1, 1]).values()) == {0.0}
    with pytest.raises(ValueError, match="two samples"):
        variety_per_condition(features, range(5))


@pytest.mark.parametrize(("samples", "kinds"), [(5, 3), (40, 8), (2_500, 25)])
def test_the_floor_of_uniform_samples_is_their_mean(samples: int, kinds: int):
    """Against simulation, to five standard errors."""
    drawn = torch.randint(kinds, (2_000, samples), generator=random())
    simulated = torch.tensor([kl_to_uniform(row.bincount(minlength=kinds)) for row in drawn], dtype=torch.float64)
    error = float(simulated.std()) / 2_000**0.5
    assert uniform_floor(samples, kinds) == pytest.approx(float(simulated.mean()), abs=5 * error)


def test_the_published_floor():
    """A perfect generator's KL for 26,000 samples of 1,000 modes is 0.0192 +- 0.0008."""
    assert uniform_floor(26_000, 1_000) == pytest.approx(0.0192, abs=0.0008)
    assert uniform_floor(26_000, 1_000) == pytest.approx(999 / 52_000, rel=0.02)
