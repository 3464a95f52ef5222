"""The measures of the experiment `patches`, on pictures whose answer is known; the runs it would make."""

from __future__ import annotations

import pytest
import torch

from ganlab.config.recipe import compose
from ganlab.lecture.patches import ARMS, _words, color, unevenness


def test_color_is_the_distance_from_grey() -> None:
    """Half grey (any level), half of a color whose channels span 60 levels: 30."""
    images = torch.full((2, 3, 8, 8), 90, dtype=torch.uint8)
    images[1, 0], images[1, 1] = 100, 40
    images[1, 2] = 70
    assert color(images) == pytest.approx(30)


def test_unevenness_is_of_fills_alone() -> None:
    """A black line at column 4 makes steps of 200 levels, not counted; within the fills left of it, one step of 14 in
    the 3 pairs of neighbours; right of it none in 2. Mean over 5 pairs of a row: 14 / 5."""
    inputs = torch.full((1, 3, 4, 8), 255, dtype=torch.uint8)
    inputs[..., 4] = 0
    images = torch.full((1, 3, 4, 8), 200, dtype=torch.uint8)
    images[..., 4] = 0
    images[..., 2:4] = 214
    assert unevenness(images, inputs) == pytest.approx(14 / 5)
    assert unevenness(images[..., 5:], inputs[..., 5:]) == 0


@pytest.mark.parametrize("name", ARMS)
def test_arms_differ_in_the_discriminator_alone(name: str) -> None:
    recipe, other = compose(*_words(name, 3)), compose(*_words("patch of 16", 3))
    assert recipe["seed"] == other["seed"] == 3
    for key in ("generator", "data", "average", "batch_size", "trainer", "objective"):
        assert recipe[key] == other[key]
    assert recipe["network"]["generator"] == other["network"]["generator"]
