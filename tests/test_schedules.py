"""Rates at the iterations where they change."""

from __future__ import annotations

import pytest
import torch

from ganlab.schedules import ConstantThenLinear


def test_holds_then_falls_straight_to_nothing() -> None:
    """With 10 iterations and half of them held: full at 0 to 5, then 4/5, 3/5, ... of it, and 0 from 10 on."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = ConstantThenLinear(optimizer, end=10, hold=0.5)
    rates = []
    for _ in range(12):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([2.0] * 6 + [1.6, 1.2, 0.8, 0.4, 0.0, 0.0])


def test_a_share_that_leaves_no_room_is_refused() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    with pytest.raises(ValueError, match="hold"):
        ConstantThenLinear(optimizer, end=10, hold=1.0)
