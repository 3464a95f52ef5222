"""The first lines of a run."""

from __future__ import annotations

import pytest

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module
from ganlab.runs.opening import opening

SHAPES = ("data=shapes", "data.count=40", "data.held_out_count=20")


@pytest.mark.parametrize(
    ("words", "data"),
    [
        (("recipe=ring", "data.count=500", "data.held_out_count=100"), "500 points of 2, 100 held out"),
        (("recipe=cgan_text2img", *SHAPES), "40 pictures of 3 x 32 x 32 with captions of"),
        (("recipe=stackgan", *SHAPES), "40 pictures of 3 x 64 x 64 with captions of"),
        (("recipe=vae", *SHAPES), "40 pictures of 3 x 32 x 32 with captions of"),
    ],
)
def test_says_what_there_is_and_what_it_costs(words: tuple[str, ...], data: str) -> None:
    recipe = compose(*words)
    made = make_data(recipe)
    module = make_module(recipe, made.spec)
    first, *players = opening(recipe, made, module)
    assert first.startswith(data) and first.endswith("held out")
    for name, line in zip(module.sides, players, strict=True):
        count = sum(each.numel() for each in module.player(name).parameters())
        assert line.startswith(f"{name}: {count / 1e6:.3g} M parameters")
    assert len(made.spec.shape) == 1 or "GFLOP a picture" in players[-1]
