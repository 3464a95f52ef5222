"""The first lines of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module
from ganlab.runs.opening import details, opening

SHAPES = ("data=shapes", "data.count=40", "data.held_out_count=20")


@pytest.mark.parametrize(
    ("words", "data"),
    [
        (("recipe=ring", "data.count=500", "data.held_out_count=100"), "500 points of 2, 100 held out"),
        (("recipe=cgan_text2img", *SHAPES), "40 pictures of 3 x 32 x 32 with 39 captions of"),
        (("recipe=stackgan", *SHAPES), "40 pictures of 3 x 64 x 64 with 39 captions of"),
        (("recipe=vae", *SHAPES), "40 pictures of 3 x 32 x 32 with 39 captions of"),
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


def test_says_what_was_found_and_what_reads_it(tmp_path: Path) -> None:
    recipe = compose("recipe=cgan_text2img", *SHAPES)
    captions, encoder = details(recipe, make_data(recipe))
    assert captions.startswith("40 captions, 1 of each picture; the first: 'a ")
    assert encoder.startswith("read by CaptionEncoder, dim 128")
    recipe = compose("recipe=cgan_class", "data.count=40", "data.held_out_count=20")
    classes, encoder = details(recipe, make_data(recipe))
    assert classes.startswith("classes: ") and classes.endswith(", ...") and "ClassEmbedding" in encoder
    for i in range(4):
        Image.new("RGB", (30 + i, 20)).save(tmp_path / f"{i}.png")
    words = ("recipe=vanilla", "data=folder", f"data.root={tmp_path}", "data.size=16", "data.channels=1")
    for crop, said in (("true", "the middle square of each picture is cut out"), ("false", "each picture is squeezed")):
        recipe = compose(*words, f"data.crop={crop}")
        (line,) = details(recipe, make_data(recipe))
        assert line.startswith(said) and line.endswith("resized to 16 x 16, in grey")
