"""PNG files that are written without Pillow: Pillow reads the same pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ganlab.files.png import png_bytes

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@pytest.mark.parametrize("channels", MODES)
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (40, 64)])
def test_pillow_reads_the_same_pixels(channels: int, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, channels), dtype=np.uint8)
    with Image.open(io.BytesIO(png_bytes(pixels))) as picture:
        picture.verify()  # the checksums
    with Image.open(io.BytesIO(png_bytes(pixels))) as picture:
        assert picture.mode == MODES[channels] and picture.format == "PNG"
        assert np.array_equal(np.asarray(picture).reshape(pixels.shape), pixels)


def test_the_same_pixels_give_the_same_bytes_however_they_lie_in_memory() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 9), dtype=np.uint8)
    assert png_bytes(pixels.transpose(1, 2, 0)) == png_bytes(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
