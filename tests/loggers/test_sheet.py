"""Sheets: what is on them can be read, and every pixel that was generated is there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlab.loggers.sheet import FONT_SIZE, LEGIBLE, LINES, MARGIN, comparison, font, grid, scatter, wrap


@pytest.mark.parametrize("caption", ["a red apple", "a very small red circle above a large blue square", "x" * 200, ""])
def test_captions_fit_under_their_picture(caption: str) -> None:
    lines = wrap(caption, 96)
    assert len(lines) <= LINES
    assert all(font().getlength(line) <= 96 for line in lines)
    assert lines[-1].endswith("…") == (len("".join(lines)) < len(caption.replace(" ", ""))) if lines else not caption


def test_every_word_of_a_short_caption_is_shown() -> None:
    assert " ".join(wrap("a small red circle above a blue square", 120)) == "a small red circle above a blue square"


def test_small_pictures_are_enlarged_pixel_by_pixel() -> None:
    """A 2 x 2 picture becomes four squares of 48 pixels, at the sheet's margin."""
    image = torch.tensor([[[[0, 255], [100, 200]]]], dtype=torch.uint8)
    sheet = np.asarray(grid(image, ["c"]))
    half = LEGIBLE // 2
    for row, column, level in [(0, 0, 0), (0, 1, 255), (1, 0, 100), (1, 1, 200)]:
        top, left = MARGIN + row * half, MARGIN + column * half
        assert (sheet[top : top + half, left : left + half] == level).all()


def test_captions_are_drawn_below_and_not_over() -> None:
    white = torch.full((2, 3, 96, 96), 255, dtype=torch.uint8)
    without, with_text = np.asarray(grid(white)), np.asarray(grid(white, ["", "apple"]))
    assert (without == 255).all()
    dark = np.argwhere((with_text < 128).all(-1))
    assert len(dark) > 20
    assert dark[:, 0].min() >= MARGIN + 96
    assert dark[:, 1].min() >= 2 * MARGIN + 96  # under the second picture
    assert with_text.shape[0] > without.shape[0] + FONT_SIZE


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels_and_both_ranges(channels: int) -> None:
    """Mid-grey in [-1, 1] is level 128; with alpha at 128 / 255 laid on white it is lighter."""
    sheet = np.asarray(grid(torch.zeros(3, channels, 96, 96), columns=2))
    level = 128 if channels in (1, 3) else round(128 * 128 / 255 + 127)
    assert (sheet[MARGIN : MARGIN + 96, MARGIN : MARGIN + 96] == level).all()
    assert sheet.shape[1] == 2 * (96 + MARGIN) + MARGIN


def test_a_caption_for_each_picture() -> None:
    with pytest.raises(ValueError, match="got 2 and 1"):
        grid(torch.zeros(2, 1, 8, 8), ["one"])


def test_what_belongs_together_is_side_by_side() -> None:
    """Pictures 0, 1, 2 of levels 10 i as input and 10 i + 100 as truth, two pairs a row."""
    given = torch.arange(0, 30, 10, dtype=torch.uint8)[:, None, None, None].expand(3, 1, 96, 96)
    sheet = np.asarray(comparison({"input": given, "truth": given + 100}, across=2))
    step = LEGIBLE + MARGIN
    first = [int(sheet[MARGIN + 48, MARGIN + 48 + column * step, 0]) for column in range(4)]
    assert first == [0, 100, 10, 110]
    assert sheet.shape[1] == 4 * step + MARGIN
    below = sheet.shape[0] // 2 + MARGIN + 48
    assert [int(sheet[below, MARGIN + 48 + column * step, 0]) for column in range(3)] == [20, 120, 255]


def test_scatter_draws_both_kinds() -> None:
    points = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    both = np.asarray(scatter(points, points + 0.5)).astype(int)
    red = (both[..., 0] - both[..., 1] > 60).sum()
    grey = ((both.max(-1) - both.min(-1) < 5) & (abs(both[..., 0] - 191) < 8)).sum()
    assert red > 200
    assert grey > 200
