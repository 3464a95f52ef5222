"""Experiments made of whole runs: every run's words are a recipe, and runs that are compared differ as said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ganlab.config.recipe import compose
from ganlab.lecture import collapse, heads, modes, stabilizers


def words() -> Iterator[Any]:
    for data in modes.DATA:
        yield from (pytest.param(modes._words(data, name, 3), id=f"{data} {name}") for name in modes.OBJECTIVES)
    yield from (pytest.param(stabilizers._on_ring(name, 3), id=f"ring {name}") for name in stabilizers.POINTS)
    yield from (pytest.param(heads._words(name, 3), id=name) for name in heads.HEADS)
    yield from (pytest.param([*collapse.COMMON, *collapse.ARMS[name], "seed=3"], id=name) for name in collapse.ARMS)


@pytest.mark.parametrize("run", [*words()])
def test_words_are_a_recipe(run: list[str]) -> None:
    assert compose(*run)["seed"] == 3


def test_every_objective_plays_under_the_same_rules() -> None:
    recipes = [compose(*modes._words("grid", name, 0)) for name in modes.OBJECTIVES]
    for key in ("network", "data", "batch_size", "average", "trainer"):
        assert all(recipe[key] == recipes[0][key] for recipe in recipes)
    assert all(recipe["generator"] == recipes[0]["generator"] for recipe in recipes)


def test_heads_differ_in_what_they_ask_alone() -> None:
    recipes = [compose(*heads._words(name, 0)) for name in heads.HEADS]
    for key in ("network", "data", "objective", "generator", "discriminator", "trainer", "condition"):
        assert all(recipe[key] == recipes[0][key] for recipe in recipes)


def test_a_run_that_goes_back_begins_as_the_one_that_does_not() -> None:
    back, on = (compose(*collapse.COMMON, *collapse.ARMS[f"minimax, {how}"]) for how in ("going back", "rate 0.01"))
    own = {"callbacks": 0, "overrides": 0}
    assert {**back, **own} == {**on, **own}
    assert back["callbacks"]["collapse"]["on_collapse"] == "rollback"
