"""The diagnostics of the game in closed form, and when they are abnormal."""

from __future__ import annotations

import math

import pytest
import torch

from ganlab.collapse.diagnostics import DIAGNOSTICS, GameState, overfitting, separation

ONES = torch.ones(4)


def state(**changed: object) -> GameState:
    logits = {"train": ONES, "held_out": ONES, "fake": -ONES}
    plain = {**logits, "gradients": {"generator": 0.1}, "missing": 0.5, "alike": 0.6}
    return GameState(**{**plain, **changed})  # type: ignore[arg-type]


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


@pytest.mark.parametrize(
    ("name", "abnormal", "normal"),
    [
        ("overfitting", [0.1, 0.9, 0.9, 0.9], [0.9, 0.9, 0.7]),
        ("separation", [0.7, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0]),
        ("unnoticed", [0.4, 0.4, 0.4], [0.4, 0.0, 0.4]),
        ("alike", [0.1, 0.6, 0.5, 0.7], [0.7, 0.6, 0.4]),
        ("starved", [-1.0] * 8 + [-3.5] * 3, [-1.0] * 8 + [-2.5] * 3),
        ("exploding", [0.0] * 8 + [2.5] * 3, [0.0] * 8 + [2.5, 2.5, 1.0]),
    ],
)
def test_abnormal_if_it_lasts(name: str, abnormal: list[float], normal: list[float]) -> None:
    assert DIAGNOSTICS[name].is_abnormal(abnormal)
    assert not DIAGNOSTICS[name].is_abnormal(normal)


@pytest.mark.parametrize("name", ["starved", "exploding"])
def test_an_unknown_gradient_is_normal(name: str) -> None:
    assert not DIAGNOSTICS[name].is_abnormal([math.nan] * 4)


def test_diagnostics_read_the_state() -> None:
    assert DIAGNOSTICS["separation"].value(state()) == 1
    assert DIAGNOSTICS["unnoticed"].value(state(fake=ONES)) == 0.5
    assert DIAGNOSTICS["unnoticed"].value(state()) == 0
    assert DIAGNOSTICS["alike"].value(state()) == 0.6
    assert DIAGNOSTICS["starved"].value(state()) == pytest.approx(-1)
    assert math.isnan(DIAGNOSTICS["exploding"].value(state()))
