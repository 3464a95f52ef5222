"""The exact parts of the experiments: closed forms, integrals, and the shared loop."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn

from ganlab.constraints import WeightClipping
from ganlab.core.sides import Side
from ganlab.data.toy import ToyData, mixture
from ganlab.lecture import covering, gradients, line, meter, wasserstein
from ganlab.lecture.play import adam, discriminator, falling, fully_connected, game, learn, learning, play, reading
from ganlab.objectives import Minimax, NonSaturating, Wasserstein
from ganlab.regularizers import GradientPenalty


def test_slopes_of_the_generators_losses():
    """d/dv -softplus(v) = -sigmoid(v) and d/dv softplus(-v) = -sigmoid(-v)."""
    logits = torch.linspace(-10, 10, 9)
    assert torch.allclose(gradients.slope(Minimax(), logits), torch.sigmoid(logits), rtol=1e-5)
    assert torch.allclose(gradients.slope(NonSaturating(), logits), torch.sigmoid(-logits), rtol=1e-5)


@pytest.mark.parametrize(
    ("distance", "jsd"), [(0.25, 0.007752), (0.5, 0.030311), (1, 0.111421), (2, 0.336831), (4, 0.632720), (8, 0.693054)]
)
def test_divergence_of_shifted_gaussians(distance, jsd):
    """Values of an independent integration."""
    assert line.gaussian_jsd(distance) == pytest.approx(jsd, abs=1e-6)


def test_bins_count_what_the_density_says():
    """The masses are a distribution, and samples of the same density fall into the bins in these shares."""
    density = mixture([[-2.0], [2.5]], sigma=0.5, weights=[1.0, 3.0])
    masses = line.masses(density)
    assert float(masses.sum()) == pytest.approx(1, abs=1e-12)
    shares = line.counts(density.sample(200_000, torch.Generator().manual_seed(0))) / 200_000
    assert float((shares - masses).abs().max()) < 5 * math.sqrt(float(masses.max()) / 200_000)


def test_counted_divergence_of_the_density_with_itself_is_that_of_counting():
    """E JSD of K exact and K counted bins is about (K - 1) / (8 N): 80 bins that are in use, 20,000 points, 0.0005."""
    density = mixture([[-2.0], [2.0]], sigma=0.5)
    points = density.sample(line.SAMPLES, torch.Generator().manual_seed(0))
    assert 0.0002 < line.js_divergence(line.masses(density), line.counts(points)) < 0.0008


# The shared loop --------------------------------------------------------------------------------------------------


def test_a_turn_is_one_step_down_the_objective_with_its_penalties():
    """D(x) = w x, w > 0: the loss is w (mean y - mean x) + 10 (w - 1)^2, with slope mean y - mean x + 20 (w - 1)."""
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Flatten(0))
    nn.init.constant_(network[0].weight, 0.5)
    side = Side(partial(torch.optim.SGD, lr=0.01), regularizers={"gp": GradientPenalty(10.0)})
    x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([[-1.0], [0.0]])
    turns = list(learning(network, Wasserstein(), side, lambda n: x[:n], lambda n: y[:n], 1, batch=2))
    assert turns == [1]
    assert network[0].weight.item() == pytest.approx(0.5 - 0.01 * (-0.5 - 1.5 + 20 * (0.5 - 1)), rel=1e-5)


def test_a_constraint_holds_from_the_first_turn_to_the_last():
    network = discriminator(1, width=8)
    side = Side(partial(torch.optim.RMSprop, lr=0.1), constraint=WeightClipping(0.03))
    learn(network, Wasserstein(), side, *wasserstein.gaussian_pair(1.0), 3, batch=8)
    assert max(p.abs().max().item() for p in network.parameters()) == pytest.approx(0.03)


def test_a_rate_falls_to_nothing():
    """Constant for half of the turns, then a straight line to zero."""
    side = falling(1e-2, 10)
    optimizer = side.optimizer([nn.Parameter(torch.zeros(1))])
    scheduler = side.scheduler(optimizer)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([1e-2] * 6 + [8e-3, 6e-3, 4e-3, 2e-3])


def test_reading_of_a_discriminator_that_cannot_tell_is_zero():
    network = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    nn.init.zeros_(network[0].weight)
    nn.init.zeros_(network[0].bias)
    assert reading(network, NonSaturating(), torch.randn(5, 2), torch.randn(7, 2)[:5]) == pytest.approx(0, abs=1e-7)


def test_looking_at_a_game_changes_nothing():
    """The same weights whether somebody draws random numbers after every iteration or nobody looks."""

    def played(look, every):
        torch.manual_seed(0)
        data = ToyData(mixture([[0.0]], sigma=1.0), count=100, held_out_count=10)
        module = game(data, fully_connected(8, 1), NonSaturating(), adam(1e-3), adam(1e-3, turns=2), latent_dim=1)
        play(module, data, 6, 4, look, every)
        return [parameter.detach().clone() for parameter in module.generator.parameters()]

    looks = []
    watched = played(lambda module: looks.append((module.iteration, torch.rand(3))), 2)
    alone = played(lambda module: None, 100)
    assert [iteration for iteration, _ in looks] == [0, 2, 4, 6]
    assert all(torch.equal(a, b) for a, b in zip(watched, alone, strict=True))


# The experiments' own mathematics ---------------------------------------------------------------------------------


def test_slope_of_a_linear_critic():
    network = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[3.0, -4.0]]))
    assert wasserstein.lipschitz(network, torch.randn(9, 2), torch.randn(9, 2)) == pytest.approx(5, rel=1e-5)


def test_a_heavy_penalty_reads_w1_and_a_light_one_too_much():
    """The excess goes with 1 / weight; far apart it is about m^2 / (2 weight), as points between have density 1 / m."""
    assert wasserstein.predicted(2.0, 1e6) == pytest.approx(2, abs=1e-4)
    excess = [wasserstein.predicted(2.0, weight) - 2 for weight in (1.0, 10.0)]
    assert excess[0] == pytest.approx(10 * excess[1], rel=1e-6)
    assert wasserstein.predicted(40.0, 10.0) - 40 == pytest.approx(40**2 / 20, rel=0.05)


def test_lines_lie_at_their_distance():
    real, fake = (source(100) for source in wasserstein.line_pair(1.5))
    assert set(real[:, 0].tolist()) == {0.0} and set(fake[:, 0].tolist()) == {1.5}
    assert float(fake[:, 1].min()) >= 0 and float(fake[:, 1].max()) <= 1


@pytest.mark.parametrize(
    ("name", "start", "mean", "deviation", "value"),
    [
        ("kl", 1.0, 0.0, math.sqrt(4.25), 0.7236),
        ("reverse_kl", 1.0, 2.0, 0.5, 0.69305),
        ("reverse_kl", -1.0, -2.0, 0.5, 0.69305),
        ("reverse_kl", 0.0, 0.0, 1.7364, 1.87118),
    ],
)
def test_the_gaussian_that_fits_best(name, start, mean, deviation, value):
    """Forward KL matches moments: mean 0, variance .5^2 + 2^2. Reverse KL takes one of two modes, at log 2.

    Halfway between them it has a third minimum, which is none of the best.
    """
    fit = covering.direct(name, start, mixture([[-2.0], [2.0]], sigma=0.5))
    assert fit["mean"] == pytest.approx(mean, abs=2e-3) and fit["deviation"] == pytest.approx(deviation, abs=2e-3)
    assert fit[name] == pytest.approx(value, abs=5e-5)


def test_divergences_of_two_gaussians():
    """KL(N(0,1) || N(1,1)) = 1/2 both ways."""
    both = covering.divergences(torch.tensor(1.0), torch.tensor(0.0), mixture([[0.0]], sigma=1.0))
    assert all(float(value) == pytest.approx(0.5, abs=1e-6) for value in both.values())


def test_nothing_to_read_is_read_as_something():
    """Wilks: d / (4 n) = 0.0125 on average on training samples (chi-squared of d degrees), as much below zero else."""
    torch.manual_seed(0)
    train, held_out = zip(*(meter._best_linear(10, 200) for _ in range(8)), strict=True)
    assert 0.007 < sum(train) / 8 < 0.018 and -0.021 < sum(held_out) / 8 < -0.007
