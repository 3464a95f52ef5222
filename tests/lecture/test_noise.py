"""The exact parts of the experiment `noise`, and what its committed numbers must say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from ganlab.lecture import noise
from ganlab.lecture.line import gaussian_jsd
from ganlab.objectives import Minimax, NonSaturating

NUMBERS = Path(__file__).parent.parent.parent / "docs" / "lecture" / "pictures" / "noise.json"


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0, 4.0, 8.0])
def test_the_minimax_pull_is_the_divergences_slope(ratio):
    """At the best discriminator the generator's loss is 2 JSD - log 4, and moving D itself changes nothing.

    So d x pull = r d(2 JSD) / dr, here by a central difference. Both pulls together are r^2, as sigmoid(v) +
    sigmoid(-v) = 1.
    """
    step = 1e-3 * ratio
    slope = 2 * (gaussian_jsd(ratio + step) - gaussian_jsd(ratio - step)) / (2 * step)
    pulls = noise.exact_pull(ratio)
    assert pulls["minimax"] == pytest.approx(ratio * slope, rel=1e-4)
    assert pulls["minimax"] + pulls["nonsaturating"] == pytest.approx(ratio**2, rel=1e-6)


def test_the_pull_of_a_linear_discriminator():
    """v = -3 x at x = 1 everywhere: minimax 3 sigmoid(-3), the other 3 sigmoid(3)."""
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Flatten(0))
    nn.init.constant_(network[0].weight, -3.0)
    at, points = torch.tensor(-3.0).sigmoid().item(), torch.ones(5, 1)
    assert noise.pull(network, Minimax(), points) == pytest.approx(3 * at, rel=1e-5)
    assert noise.pull(network, NonSaturating(), points) == pytest.approx(3 * (1 - at), rel=1e-5)


def test_distances_to_the_segment_and_from_it():
    """The segment is x = -2, -1 <= y <= 1: beside it, above its end, and both (3, 4, 5)."""
    points = torch.tensor([[-2.0, 0.3], [1.0, 0.0], [-2.0, 2.5], [1.0, -5.0]])
    torch.testing.assert_close(noise.to_segment(points), torch.tensor([0.0, 3.0, 1.5, 5.0]))
    missed = noise.from_segment(torch.tensor([[-2.0, -1.0], [-2.0, 0.0], [-2.0, 1.0]]))
    assert missed.max().item() == pytest.approx(0.5) and missed.min().item() == 0
    sampled = noise.segment(noise.AWAY).sample(1000, torch.Generator().manual_seed(0))
    assert noise.to_segment(sampled).mean() < 2 * noise.THIN
    assert noise.from_segment(sampled).mean() < 0.02


def test_the_generator_begins_far_from_the_data():
    torch.manual_seed(0)
    with torch.no_grad():
        points = noise.short((2,), noise.LATENT)(torch.randn(2000, noise.LATENT))
    assert noise.to_segment(points).min() > 1
    assert points.std() < 0.5


def test_committed_numbers():
    """Within 5 % of the exact divergence; the minimax gradient at d/4 is over 100 times that at d/8; and the game."""
    numbers = json.loads(NUMBERS.read_text())["numbers"]
    for row in numbers["points"].values():
        assert row["jsd_read"] == pytest.approx(row["jsd"], rel=0.05)
    pulls = {ratio: row["pull_measured"] for ratio, row in numbers["points"].items()}
    assert pulls["4"]["minimax"] > 100 * pulls["8"]["minimax"]
    assert pulls["8"]["nonsaturating"] > pulls["4"]["nonsaturating"]
    games = numbers["games"]
    assert min(games["minimax, descent, no noise"]["distance_at_last"]) > 2
    assert max(games["minimax, descent, noise"]["distance_at_last"]) < 0.2
