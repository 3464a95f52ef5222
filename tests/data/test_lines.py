"""Outlines and their pictures: same emoji, same split, same place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlab.data.emoji import EmojiData
from ganlab.data.lines import LinesData
from ganlab.data.openmoji import emoji_list, line_layer, rasterise, rasterise_lines

SIZE = 32


@pytest.fixture(scope="module")
def data() -> LinesData:
    data = LinesData(SIZE)
    data.setup()
    return data


def test_the_layer_of_lines_is_all_that_is_left() -> None:
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg"><g id="color"><g id="inner"/></g><g id="hair"/><g id="skin"/>'
        '<g id="line"><path d="M0,0"/></g><g id="line-supplement"/></svg>'
    )
    kept = line_layer(drawing)
    assert 'id="line"' in kept and "line-supplement" in kept and "path" in kept
    assert not any(word in kept for word in ("color", "inner", "hair", "skin"))


@pytest.mark.parametrize("number", [5, 600, 1500, 3000])
def test_lines_are_dark_where_the_picture_is(number: int) -> None:
    """Lines are drawn over the colors and cut alike: where they are black, the picture is dark, to the pixel.

    And they are outlines alone: grey levels, at least a third of the paper is left white.
    """
    file = emoji_list()[number].file
    lines, whole = rasterise_lines(file, 96).astype(int), rasterise(file, 96).astype(int)
    black = lines.max(0) < 60
    assert black.any()
    assert (whole[:, black] < 130).mean() > 0.97
    assert (lines.max(0) - lines.min(0)).max() <= 8
    assert (lines.min(0) > 200).mean() > 1 / 3


def test_the_same_emoji_in_the_same_split(data: LinesData) -> None:
    emoji = EmojiData(SIZE)
    emoji.setup()
    for own, theirs in ((data.train, emoji.train), (data.reference, emoji.reference)):
        assert list(own.keys or ()) == theirs.condition
        assert np.array_equal(own.images, theirs.images)
    assert data.spec.kind == "image"
    assert data.spec.shape == (3, SIZE, SIZE)


def test_names_are_unique() -> None:
    """An outline is found by its emoji's name."""
    names = [one.caption for one in emoji_list()]
    assert len(set(names)) == len(names)


def test_outline_and_picture_are_mirrored_together(data: LinesData) -> None:
    rows = np.arange(60)
    batch = data.train.batch(rows, np.random.default_rng(0))
    stored = torch.as_tensor(np.array(data.train.images[rows]))
    lines = torch.as_tensor(data.train.condition)[rows]
    turned = 0
    for image, line, image_before, line_before in zip(batch.images, batch.condition, stored, lines, strict=True):  # type: ignore[arg-type]
        same = torch.equal(image, image_before) and torch.equal(line, line_before)
        mirrored = torch.equal(image, image_before.flip(-1)) and torch.equal(line, line_before.flip(-1))
        assert same or mirrored
        turned += not same
    assert 15 < turned < 45  # half of 60, four standard deviations
    assert batch.mismatched is None


def test_held_out_pictures_are_not_mirrored(data: LinesData) -> None:
    rows = np.arange(30)
    batch = data.reference.batch(rows, np.random.default_rng(0))
    assert torch.equal(batch.images, torch.as_tensor(np.array(data.reference.images[rows])))
