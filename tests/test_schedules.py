"""Rates at the iterations where they change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ganlab.errors import UserError
from ganlab.schedules import Annealed, ConstantThenLinear, HalfCosine, PerStage, value


def sgd() -> Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)


def advance(optimizer: Optimizer, schedule: LRScheduler, iterations: int) -> list[float]:
    """The rate of each iteration."""
    seen = []
    for _ in range(iterations):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def rates(make: Callable[[Optimizer], LRScheduler], iterations: int) -> list[float]:
    optimizer = sgd()
    return advance(optimizer, make(optimizer), iterations)


def test_holds_then_falls_straight_to_nothing() -> None:
    """With 10 iterations and half of them held: full at 0 to 5, then 4/5, 3/5, ... of it, and 0 from 10 on."""
    assert rates(lambda optimizer: ConstantThenLinear(optimizer, end=10, hold=0.5), 12) == pytest.approx(
        [2.0] * 6 + [1.6, 1.2, 0.8, 0.4, 0.0, 0.0]
    )


def test_begins_anew_with_each_stage() -> None:
    """Stages of 4 and 2 iterations, half of each held: full, full, full, half; full, full; nothing after the last."""
    expected = [2.0, 2.0, 2.0, 1.0, 2.0, 2.0, 0.0, 0.0]
    assert rates(lambda optimizer: PerStage(optimizer, ends=[4, 6], hold=0.5), 8) == pytest.approx(expected)
    without_the_first = rates(lambda optimizer: PerStage(optimizer, ends=[0, 2], hold=0.5), 4)
    assert without_the_first == pytest.approx([2.0, 2.0, 0.0, 0.0])


@pytest.mark.parametrize("stopped", [0, 3, 4, 5])
def test_resumed_stages_are_the_same_and_may_get_other_ends(stopped: int) -> None:
    """Only the iteration is kept: a run of the first stage alone goes on with a second that is named later."""
    whole = rates(lambda optimizer: PerStage(optimizer, ends=[4, 6]), 6)
    optimizer, resumed = sgd(), sgd()
    schedule = PerStage(optimizer, ends=[4, 4])
    advance(optimizer, schedule, stopped)
    following = PerStage(resumed, ends=[4, 6])
    following.load_state_dict(schedule.state_dict())
    resumed.load_state_dict(optimizer.state_dict())
    assert following.get_last_lr() == schedule.get_last_lr()
    assert advance(resumed, following, 6 - stopped)[1:] == pytest.approx(whole[stopped + 1 :])


def test_a_stage_that_the_run_does_not_reach_is_not_played() -> None:
    """3 iterations of which the first stage has 4, half of them held: as far as it goes."""
    assert rates(lambda optimizer: PerStage(optimizer, ends=[4, 3], hold=0.5), 4) == [2.0, 2.0, 2.0, 1.0]


@pytest.mark.parametrize("ends", [[], [0, 0], [-1]])
def test_stages_without_iterations_are_refused(ends: list[int]) -> None:
    with pytest.raises(UserError, match="`ends`"):
        PerStage(sgd(), ends)


def test_a_share_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(UserError, match="hold"):
        ConstantThenLinear(sgd(), end=10, hold=1.0)


def test_half_a_cosine_over_the_first_part() -> None:
    """At 0, 1/4, 1/2, 3/4 of 8 iterations: (1 + cos(pi t)) / 2 is 1, (2 + sqrt 2) / 4, 1/2, (2 - sqrt 2) / 4."""
    schedule = HalfCosine(start=3.0, final=1.0, end=16, over=0.5)
    shares = [1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4, 0, 0]
    assert [schedule(at) for at in (0, 2, 4, 6, 8, 16)] == pytest.approx([1 + 2 * share for share in shares])
    assert value(schedule, 4) == pytest.approx(2.0) and value(0.5, 4) == 0.5


def test_rates_and_betas_are_annealed_together_and_when_resumed() -> None:
    def make() -> tuple[Optimizer, Annealed]:
        optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=2.0, betas=(0.0, 0.5))
        return optimizer, Annealed(optimizer, HalfCosine(1.0, 0.25, end=4), HalfCosine(0.9, 0.99, end=4))

    def seen(optimizer: Optimizer) -> tuple[float, float, float]:
        return (optimizer.param_groups[0]["lr"], *optimizer.param_groups[0]["betas"])

    optimizer, schedule = make()
    assert seen(optimizer) == pytest.approx((2.0, 0.0, 0.9))
    for _ in range(2):
        optimizer.step()
        schedule.step()
    assert seen(optimizer) == pytest.approx((1.25, 0.0, 0.945))
    again, resumed = make()
    again.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    for pair in ((optimizer, schedule), (again, resumed)):
        pair[0].step()
        pair[1].step()
    assert seen(again) == seen(optimizer)


@pytest.mark.parametrize(("end", "over"), [(0, 1.0), (10, 0.0), (10, 1.5)])
def test_half_a_cosine_that_cannot_be(end: int, over: float) -> None:
    with pytest.raises(UserError, match="`end` >= 1 and 0 < `over` <= 1"):
        HalfCosine(1.0, 0.0, end, over)


def test_the_state_of_annealed_rates_holds_plain_values_only(tmp_path: Path) -> None:
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    torch.save(
        Annealed(optimizer, HalfCosine(1.0, 0.0, end=4), HalfCosine(0.9, 0.99, end=4)).state_dict(), tmp_path / "x"
    )
    assert torch.load(tmp_path / "x", weights_only=True)["last_epoch"] == 0
