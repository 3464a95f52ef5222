"""Mixtures: their densities by hand, their modes, and that samples follow them."""

from __future__ import annotations

import math

import pytest
import torch

from ganlab.data.toy import ToyData, grid, mixture, ring, two_gaussians
from ganlab.errors import UserError


def test_ring_has_eight_different_modes_on_the_circle() -> None:
    """Neighbours are 2 sin(pi / 8) = 0.7654 apart; a ring closed at its end point would have two at distance 0."""
    centers = ring().centers
    assert torch.allclose(centers.norm(dim=1), torch.ones(8))
    assert torch.pdist(centers).min().item() == pytest.approx(2 * math.sin(math.pi / 8), abs=1e-6)


def test_grid_is_five_by_five_around_the_origin() -> None:
    centers = grid().centers
    assert sorted(set(centers.flatten().tolist())) == [-4, -2, 0, 2, 4]
    assert len(torch.unique(centers, dim=0)) == 25


def test_density_of_two_gaussians_by_hand() -> None:
    """At the origin both are d / 2 = 2 = 4 sigma away: 2 x 1/2 x exp(-8) / (2 pi 0.25) = 2.1356e-4."""
    density = two_gaussians(distance=4, sigma=0.5).density(torch.zeros(1, 2))
    assert density.item() == pytest.approx(math.exp(-8) / (2 * math.pi * 0.25), rel=1e-9)


@pytest.mark.parametrize(
    "toy", [two_gaussians(share=0.3), mixture([[0.0, 0.0], [1.0, 2.0], [-1.0, 1.0]], 0.4, [1, 2, 3])]
)
def test_density_integrates_to_one(toy) -> None:  # type: ignore[no-untyped-def]
    """Midpoint sum over [-6, 6]^2 at steps of a tenth, a quarter of the least sigma: exact to 1e-6 for Gaussians."""
    line = torch.arange(-6, 6, 0.1, dtype=torch.float64) + 0.05
    points = torch.cartesian_prod(line, line)
    assert toy.density(points).sum().item() * 0.01 == pytest.approx(1, abs=1e-6)


def test_three_sigma_hold_the_mass_they_should() -> None:
    """In the plane 1 - exp(-4.5) = 0.98889; one standard error at 50,000 points is 0.00047, four are allowed."""
    data = ToyData(ring(), count=50_000)
    data.setup()
    distance = torch.cdist(data.train.get(slice(None)), data.modes.centers).min(1).values
    inside = (distance < 3 * data.modes.sigma).float().mean().item()
    assert inside == pytest.approx(1 - math.exp(-4.5), abs=4 * 0.00047)


def test_weights_are_the_shares_of_points() -> None:
    """0.2 of 20,000 points: one standard error is 0.0028, four are allowed."""
    points = two_gaussians(share=0.2).sample(20_000, torch.Generator().manual_seed(0))
    assert (points[:, 0] < 0).float().mean().item() == pytest.approx(0.2, abs=0.0113)


def test_splits_differ_and_depend_on_the_seed_alone() -> None:
    one, same, other = (ToyData(grid(), 100, 100, seed=seed) for seed in (1, 1, 2))
    for data in (one, same, other):
        data.setup()
    assert torch.equal(one.train.get(slice(None)), same.train.get(slice(None)))
    assert not torch.equal(one.train.get(slice(None)), other.train.get(slice(None)))
    assert not torch.equal(one.train.get(slice(None)), one.reference.get(slice(None)))
    assert one.spec.shape == (2,) and one.spec.kind == "none" and one.train.get(slice(0, 2)).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: ring(sigma=0), "sigma"),
        (lambda: mixture([[0.0], [1.0, 2.0]], 1.0), "centers"),
        (lambda: mixture([[0.0], [1.0]], 1.0, [1.0]), "weights"),
        (lambda: two_gaussians(share=1.0), "weights"),
        (lambda: ToyData(ring(), count=1), "count"),
    ],
)
def test_bad_input_is_named(make, word: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=f"`.*{word}`"):
        make()
