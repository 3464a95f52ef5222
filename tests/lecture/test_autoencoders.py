"""What the comparison of autoencoders and games measures, on pictures whose answer is known; and who is compared."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_module
from ganlab.data.base import DataSpec
from ganlab.data.batch import to_float
from ganlab.data.shapes import ShapesData
from ganlab.lecture import autoencoders
from ganlab.lecture.strips import draw, sheet, steepness, strip


@pytest.fixture(scope="module")
def shapes():
    data = ShapesData(count=64, held_out_count=200)
    data.setup()
    return to_float(data.reference.get(slice(0, 200)))


def edge(pixels, height=1.0):
    """One edge across the middle of a picture, of so many pixels: from 0 to `height` in equal steps."""
    ramp = torch.cat([torch.zeros(8), torch.arange(1, pixels + 1) / pixels, torch.ones(8)]) * height
    return ramp.expand(1, 1, 5, -1)


@pytest.mark.parametrize("pixels", [1, 2, 4])
def test_steepness_is_height_over_pixels(pixels):
    assert steepness(edge(pixels, 0.8)) == pytest.approx(0.8 / pixels)
    assert steepness(edge(pixels, 0.8).mT) == pytest.approx(0.8 / pixels)


def test_steepness_does_not_count_edges():
    """Ten pictures, nine of them empty, are as steep as the one; nothing at all is not steep."""
    assert steepness(torch.cat([edge(2), torch.zeros(9, 1, 5, 18)])) == pytest.approx(0.5)
    assert steepness(torch.zeros(2, 1, 5, 5)) == 0


def test_steepness_is_weighed_by_the_change_itself():
    """Edges of heights 1 and 1/2, a pixel each: (1 + 1/4) / (1 + 1/2)."""
    assert steepness(torch.cat([edge(1), edge(1, 0.5)])) == pytest.approx(1.25 / 1.5)


def test_real_pictures_are_as_good_as_real_pictures(shapes):
    found = autoencoders.judged(shapes, shapes)
    assert found["steepness"] == pytest.approx(1) and found["fid_small"] == pytest.approx(0, abs=1e-3)
    assert found["clear"] > 0.99


def test_blurred_pictures_are_less_steep_and_less_clear(shapes):
    """A mean over 5 x 5 pixels: an upright edge is then 5 pixels wide, a fifth as steep."""
    blurred = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(shapes, (2, 2, 2, 2), value=1.0), 5, 1)
    found = autoencoders.judged(blurred, shapes)
    assert 0.15 < found["steepness"] < 0.35
    assert found["clear"] < 0.5 and found["fid_small"] > 5


def test_three_things_are_not_clear(shapes):
    crowded = torch.minimum(torch.minimum(shapes, shapes.flip(2)), shapes.flip(3))  # white paper: what is darkest stays
    assert autoencoders.judged(crowded, shapes)["clear"] < 0.3


def test_every_model_has_the_same_decoder_and_learns_from_as_many_pictures_at_a_time():
    """The same parameters by name and shape, the same number of codes; only what judges the decoder differs."""
    spec = DataSpec((3, 32, 32), "text")
    decoders, common = {}, set()
    for name in autoencoders.MODELS:
        recipe = compose(*autoencoders._words(name, 0))
        module = make_module(recipe, spec)
        decoder = module.generator if name == "GAN" else module.generator.decoder
        decoders[name] = {key: tuple(value.shape) for key, value in decoder.state_dict().items()}
        common.add((module.latent_dim, recipe["batch_size"], recipe["data"]["size"], recipe["average"]["half_life"]))
    assert all(decoder == decoders["GAN"] for decoder in decoders.values())
    assert len(common) == 1


def test_the_game_alone_learns_as_the_game_with_codes_does():
    game, both = (compose(*autoencoders._words(name, 0)) for name in ("GAN", "VAE-GAN"))
    for recipe in (game, both):
        for side in ("generator", "discriminator"):
            recipe[side]["optimizer"].pop("fused", None)  # says how a step is computed, not what it is
            recipe[side]["scheduler"].pop("end")
    assert game["discriminator"] == both["discriminator"] and game["generator"] == both["generator"]
    assert game["network"] == both["network"]


def test_a_strip_is_the_pictures_side_by_side(shapes):
    """A grey column between two pictures, none at the end."""
    pixels = strip(shapes[:3])
    assert pixels.shape == (32, 3 * 33 - 1, 3) and pixels.dtype == torch.uint8
    assert (pixels[:, 32] == 225).all()
    torch.testing.assert_close(to_float(pixels[:, 33:65].permute(2, 0, 1)), shapes[1], atol=1e-6, rtol=0)


def test_a_sheet_has_a_row_of_pictures_a_label(shapes, tmp_path):
    """Each pixel three wide: a row ends with its strip, left of that is its label."""
    page = sheet({"one": shapes[:4], "the other": shapes[4:8]}, enlarged=3)
    pixels = torch.from_numpy(np.array(page))
    left = page.width - 3 * 4 * 33
    found = pixels[6:102, left : left + 3 * 131].permute(2, 0, 1)
    assert torch.equal(found[:, 1::3, 1::3].permute(1, 2, 0), strip(shapes[:4]))
    assert (pixels[:, :left] < 128).any() and (pixels[:, left - 12 : left] == 255).all()
    draw({"one": shapes[:4]}, tmp_path / "strips.png")
    assert 300 < (tmp_path / "strips.png").stat().st_size < 50_000
