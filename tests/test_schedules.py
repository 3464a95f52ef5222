"""Rates at the iterations where they change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ganlab.errors import UserError
from ganlab.schedules import ConstantThenLinear, PerStage


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
