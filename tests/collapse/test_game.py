"""The game's numbers in closed form, and when they are out of order."""

from __future__ import annotations

import math

import pytest
import torch

from ganlab.collapse.game import Exploding, Game, Idle, Overfitting, Saturated, Starved, overfitting, separation

ONES = torch.ones(4)


def game(**changed: object) -> Game:
    plain = {"train": ONES, "held_out": ONES, "fake": -ONES, "gradients": {"generator": 0.1}, "missing": 0.5}
    return Game(**{**plain, **changed})  # type: ignore[arg-type]


def test_separation_of_two_normals_is_the_area_under_their_curve() -> None:
    """N(1, 1) against N(0, 1): P(x > y) = Phi(1 / sqrt 2) = 0.7602. The same after any increasing function."""
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(4000, generator=generator) + 1, torch.randn(4000, generator=generator)
    expected = (1 + math.erf(0.5)) / 2
    assert separation(real, fake) == pytest.approx(expected, abs=0.015)
    assert separation(real.exp(), fake.exp()) == separation(real, fake)
    assert separation(ONES, ONES) == 0.5


def test_overfitting_is_zero_when_held_out_is_like_training_and_one_when_it_is_like_generated() -> None:
    assert overfitting(ONES, ONES, -ONES) == 0
    assert overfitting(ONES, 0 * ONES, -ONES) == 0.5
    assert overfitting(ONES, -ONES, -ONES) == 1
    assert overfitting(-ONES, ONES, ONES) == 0  # training pictures are not judged more real than generated ones


def test_out_of_order_when_it_lasts() -> None:
    assert Overfitting().wrong([0.1, 0.9, 0.9, 0.9]) and not Overfitting().wrong([0.9, 0.9, 0.7])
    assert Saturated().wrong([0.7, 1.0, 1.0, 1.0]) and not Saturated().wrong([1.0, 1.0, 1.0])
    assert Idle().wrong([0.4, 0.4, 0.4]) and not Idle().wrong([0.4, 0.0, 0.4])
    assert Starved().wrong([-1.0] * 8 + [-3.5] * 3) and not Starved().wrong([-1.0] * 8 + [-2.5] * 3)
    assert Exploding().wrong([0.0] * 8 + [2.5] * 3) and not Exploding().wrong([0.0] * 8 + [2.5, 2.5, 1.0])


def test_symptoms_read_the_game() -> None:
    assert Saturated().value(game()) == 1
    assert Idle().value(game(fake=ONES)) == 0.5 and Idle().value(game()) == 0
    assert Starved().value(game()) == pytest.approx(-1)
    assert math.isnan(Exploding().value(game()))
    assert not Exploding().wrong([math.nan] * 4)
