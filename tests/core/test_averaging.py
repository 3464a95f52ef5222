"""The moving average against its closed form, a geometric sum."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlab.core.averaging import MovingAverage
from ganlab.core.members import Members


def constant(value: float) -> nn.Module:
    """A module with one parameter, one floating buffer and one counter, all of this value."""
    module = nn.Module()
    module.weight = nn.Parameter(torch.tensor([value]))
    module.register_buffer("running", torch.tensor([value * 10]))
    module.register_buffer("count", torch.tensor(int(value)))
    return module


def tensors(module: nn.Module) -> list[torch.Tensor]:
    return Members(module).tensors()


def test_geometric_sum() -> None:
    """After x_1 .. x_n from a_0: a_n = beta^n a_0 + (1 - beta) sum beta^(n - i) x_i, for parameters and buffers."""
    averaging, beta, values = MovingAverage(), 0.8, [3.0, -1.0, 4.0, 1.0, -5.0, 9.0]
    average = averaging.start(constant(2.0))
    for value in values:
        averaging.update(tensors(average), tensors(constant(value)), beta)
    n = len(values)
    expected = beta**n * 2 + (1 - beta) * sum(beta ** (n - i) * x for i, x in enumerate(values, 1))
    assert average.weight.item() == pytest.approx(expected, abs=1e-5)
    assert average.running.item() == pytest.approx(10 * expected, abs=1e-4)
    assert average.count.item() == 9


def test_the_player_is_not_touched() -> None:
    averaging, player = MovingAverage(), constant(5.0)
    average = averaging.start(constant(1.0))
    averaging.update(tensors(average), tensors(player), 0.5)
    assert player.weight.item() == 5.0
    assert player.running.item() == 50.0
    assert player.weight.requires_grad


def test_the_average_starts_as_a_copy_that_never_trains() -> None:
    player = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = MovingAverage().start(player)
    assert not average.training
    assert player.training
    assert not any(parameter.requires_grad for parameter in average.parameters())
    for old, new in zip(average.state_dict().values(), player.state_dict().values(), strict=True):
        assert torch.equal(old, new)
        assert old.data_ptr() != new.data_ptr()


def test_half_life_is_in_images() -> None:
    """What was 1 is 1/2 after `half_life` images of zeros, whatever the batch size."""
    for batch in (10, 25, 100):
        averaging = MovingAverage(half_life=1000, ramp=1e9)
        average = averaging.start(constant(1.0))
        for i in range(1000 // batch):
            averaging.update(tensors(average), tensors(constant(0.0)), averaging.beta(batch, (i + 1) * batch))
        assert average.weight.item() == pytest.approx(0.5, abs=1e-5)


def test_ramp() -> None:
    """Early on the half-life is 0.05 of the images seen: 50 of 1000; from 20 half-lives on, the half-life itself."""
    averaging = MovingAverage(half_life=500, ramp=0.05)
    assert averaging.beta(10, 1000) == pytest.approx(0.5 ** (10 / 50))
    assert averaging.beta(10, 10_000) == pytest.approx(0.5 ** (10 / 500))
    assert averaging.beta(10, 1_000_000) == pytest.approx(0.5 ** (10 / 500))


def test_first_iteration_forgets_the_random_start() -> None:
    """0.5 ** 20: one part in a million of the initial weights is left."""
    assert MovingAverage().beta(64, 64) == pytest.approx(2.0**-20)


def test_no_half_life_copies() -> None:
    averaging = MovingAverage(half_life=0)
    average = averaging.start(constant(1.0))
    averaging.update(tensors(average), tensors(constant(7.0)), averaging.beta(64, 640))
    assert averaging.beta(64, 640) == 0.0
    assert average.weight.item() == 7.0


def test_average_of_equals_is_exact() -> None:
    """A parameter that does not move is its own average, bit for bit."""
    player = nn.Linear(7, 5)
    average = MovingAverage().start(player)
    for beta in (0.3, 0.9, 0.999):
        MovingAverage().update(tensors(average), tensors(player), beta)
    assert torch.equal(average.weight, player.weight)
