"""Beside the Fréchet distance: its standard error, its limit, by class. Closed forms on Gaussians."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganlab.metrics.frechet import frechet, frechet_infinity, frechet_per_class
from ganlab.metrics.gathering import Sample
from ganlab.metrics.moments import Gaussian, frechet_distance_of_sets, is_accurate, rounding


def normal(count: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def truth(dim: int) -> Sample:
    """N(0, I) itself, as a reference without a sample."""
    return Sample(Gaussian(torch.zeros(dim).double(), torch.eye(dim).double(), 0), torch.zeros(0, dim))


def test_gaussians_in_closed_form():
    """N(0, 1) and a sample standardised to mean 3, deviation 2 in each of 4 axes: 4 (3^2 + (2 - 1)^2) = 40."""
    x = normal(100, 4)
    x = x - x.mean(0)
    whitened = x @ torch.linalg.inv(torch.linalg.cholesky(x.T @ x / 99)).T
    assert frechet(truth(4), Sample.of(2 * whitened + 3)).value == pytest.approx(40, rel=1e-9)


@pytest.mark.parametrize(
    ("reals", "fakes", "tolerance"), [(2000, 500, 0.2), (20, 500, 0.25), (2000, 20, 0.7), (20, 25, 0.7)]
)
def test_the_standard_error_is_the_deviation_over_draws(reals: int, fakes: int, tolerance: float):
    """Over 80 draws of fakes against one reference. Where samples are fewer than the 32 features it is too large by
    up to a half; it must never be much too small."""
    scale = torch.linspace(0.3, 2, 32)
    real = Sample.of(normal(reals, 32) * scale)
    found = [frechet(real, Sample.of(normal(fakes, 32, seed) * scale * 1.2 + 0.2)) for seed in range(1, 81)]
    deviation = torch.tensor([one.value for one in found]).std().item()
    estimate = sum(one.spread or 0 for one in found) / len(found)
    assert estimate == pytest.approx(deviation, rel=tolerance)
    assert estimate > 0.8 * deviation


@pytest.mark.parametrize(("reals", "fakes"), [(100, 90), (100, 10), (10, 100), (12, 10)])
def test_all_ways_to_compute_it_agree(reals: int, fakes: int):
    """Few samples and many of either, 32 features; the general way is what sums alone allow."""
    real, fake = normal(reals, 32), normal(fakes, 32, 1) + 1
    sums = Sample(Sample.of(real).gaussian, torch.zeros(0, 32))
    expected = frechet_distance_of_sets(real, fake)
    assert frechet(Sample.of(real), Sample.of(fake)).value == pytest.approx(expected, rel=1e-6)
    assert frechet(sums, Sample.of(fake)).value == pytest.approx(expected, rel=1e-5)


def test_without_features_there_is_no_error_to_know():
    fake = Sample.of(normal(50, 8))
    assert frechet(truth(8), Sample(fake.gaussian, torch.zeros(0, 8))).spread is None


def test_the_limit_takes_the_bias_of_few_samples_away():
    """Fakes of the reference's own distribution: the limit is 0, where the distance of 500 has a bias of about
    (d + d (d + 1) / 4) / n = (16 + 68) / 500 = 0.168, half of what it has when both sides are samples."""
    draws, choices = [Sample.of(normal(500, 16, seed)) for seed in range(32)], torch.Generator().manual_seed(0)
    found = [frechet_infinity(truth(16), draw, choices).value for draw in draws]
    plain = [frechet(truth(16), draw).value for draw in draws]
    assert sum(plain) / 32 > 0.12
    assert abs(sum(found) / 32) < 0.03  # of one draw: 0.04


def test_the_limit_keeps_a_distance_that_is_there():
    """Shifted by 1 in 16 axes: 16."""
    found = frechet_infinity(truth(16), Sample.of(normal(2000, 16) + 1), torch.Generator().manual_seed(0))
    assert found.value == pytest.approx(16, rel=0.03) and found.spread is not None and 0 < found.spread < 1


def test_the_limit_needs_a_line():
    with pytest.raises(ValueError, match="more samples than 3"):
        frechet_infinity(truth(2), Sample.of(normal(3, 2)))


def test_by_class_is_each_class_on_its_own():
    real, fake = normal(60, 4), normal(60, 4, 1)
    labels, fake[::2] = [i % 2 for i in range(60)], fake[::2] + 5
    found = frechet_per_class(real, labels, fake, labels)
    assert found[0].value == pytest.approx(frechet_distance_of_sets(real[::2], fake[::2])) and found[0].value > 50
    assert found[1].value == pytest.approx(frechet_distance_of_sets(real[1::2], fake[1::2])) and found[1].value < 5


def test_classes_with_too_few_pictures_are_left_out():
    real, fake = normal(5, 2), normal(5, 2, 1)
    assert list(frechet_per_class(real, ["a", "a", "a", "b", "c"], fake, ["a", "a", "b", "b", "d"])) == ["a"]
    with pytest.raises(ValueError, match="no class has 3 real"):
        frechet_per_class(real, list("aabbc"), fake, list("aabbc"), fewest=3)


@pytest.mark.parametrize("shift", [1.0, 1e-3, 1e-6, 0.0])
def test_few_samples_agree_with_singular_values(shift: float):
    """Features whose scales fall by ten orders, and sets that are nearly or exactly equal, with and without spread."""
    scales = torch.logspace(0, -10, 80, dtype=torch.float64)
    x = normal(60, 80) * scales
    y = x + shift * normal(60, 80, 1) * scales
    a, b = ((one - one.mean(0)) / 59**0.5 for one in (x, y))
    rest = (x.mean(0) - y.mean(0)).square().sum() + a.square().sum() + b.square().sum()
    exact = float(rest - 2 * torch.linalg.svdvals(a @ b.T).sum())
    assert frechet_distance_of_sets(x, y) == pytest.approx(exact, rel=1e-8, abs=1e-14)
    assert frechet(Sample.of(x), Sample.of(y)).value == pytest.approx(exact, rel=1e-8, abs=1e-14)


def test_the_bound_of_rounding_holds():
    """Singular values over ten orders. The error is near the bound's order, and equal sets do not pass."""
    orthogonal = [torch.linalg.qr(normal(60, 60, seed)).Q for seed in (0, 1)]
    true = torch.logspace(0, -10, 60, dtype=torch.float64)
    matrix = orthogonal[0] * true @ orthogonal[1]
    roots = torch.linalg.eigvalsh(matrix @ matrix.T).clamp(min=0).sqrt()
    error = (roots.sum() - true.sum()).abs()
    assert 1e-4 * rounding(roots) < error < rounding(roots)
    assert is_accurate(roots[-30:], 3 * true.sum())
    assert not is_accurate(roots, 2 * true.sum())
