"""Realism condition by condition: real, but of another condition, is not real here."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganlab.metrics.conditional import realism_per_condition, variety_per_condition


def kinds(count: int, seed: int) -> tuple[Tensor, list[str]]:
    """Two far clusters, "a" and "b", in turn."""
    x = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))
    x[1::2] += 20
    return x, ["ab"[i % 2] for i in range(count)]


def test_pictures_of_the_wrong_condition_are_not_real():
    """Fakes of "b" that look like "a": unconditional precision would not see it."""
    real, labels = kinds(400, 0)
    fake, _ = kinds(400, 1)
    fake[1::2] -= 20
    found = realism_per_condition(real, labels, fake, labels)
    assert found["a"] > 0.8 and found["b"] == 0


def test_by_hand_on_a_line():
    """Reals 0, 1, 3 with k = 1 reach 1, 1 and 2: [-1, 1], [0, 2], [1, 5]. Of -0.5, 1.5, 5, 6 three lie in one."""
    real, fake = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[-0.5], [1.5], [5.0], [6.0]])
    assert realism_per_condition(real, ["x"] * 3, fake, ["x"] * 4, k=1) == {"x": 0.75}


def test_conditions_with_too_few_reals_are_left_out():
    real, fake = torch.randn(6, 2), torch.randn(4, 2)
    assert list(realism_per_condition(real, list("aaaabb"), fake, list("aabb"), k=3)) == ["a"]
    with pytest.raises(ValueError, match="more than 5 real pictures"):
        realism_per_condition(real, list("aaaabb"), fake, list("aabb"), k=5)


def test_variety_is_the_mean_distance_within_a_condition():
    """0, 2, 4: distances 2, 2, 4, mean 8/3; a lone sample has none."""
    x = torch.tensor([[0.0], [2.0], [4.0], [9.0], [1.0], [2.0]])
    labels = ["x", "x", "x", "alone", "y", "y"]
    assert variety_per_condition(x, labels) == {"x": pytest.approx(8 / 3), "y": 1.0}
    with pytest.raises(ValueError, match="a condition with two samples"):
        variety_per_condition(x, range(6))
