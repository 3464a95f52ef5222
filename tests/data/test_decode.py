"""Every kind of file comes out as the picture that people see."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganlab.data.decode import Form, decode, preparation

SMALL = Form(8)


def levels(path: Path, form: Form = SMALL) -> list[int]:
    """The levels of the middle pixel."""
    pixels = decode(path, form)
    assert pixels.shape == form.shape
    assert pixels.dtype == np.uint8
    return pixels[:, form.size // 2, form.size // 2].tolist()


def near(found: list[int], expected: list[int], slack: int = 2) -> bool:
    """JPEG and WebP are allowed a level or two."""
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= slack


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif"])
def test_colour(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (40, 30), (200, 100, 50)).save(path)
    assert near(levels(path), [200, 100, 50])


def test_grey_becomes_colour_and_colour_grey(tmp_path: Path) -> None:
    """Rec. 601 luma: 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2."""
    Image.new("L", (10, 10), 77).save(tmp_path / "grey.png")
    Image.new("RGB", (10, 10), (200, 100, 50)).save(tmp_path / "colour.png")
    assert levels(tmp_path / "grey.png") == [77, 77, 77]
    assert levels(tmp_path / "colour.png", Form(8, channels=1)) == [124]


@pytest.mark.parametrize("level", [0, 257, 32896, 65535])
def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path, level: int) -> None:
    """65535 / 255 = 257, so that level 257 k is exactly k."""
    Image.fromarray(np.full((10, 10), level, dtype=np.uint16)).save(tmp_path / "a.png")
    assert levels(tmp_path / "a.png", Form(8, channels=1)) == [level // 257]


def test_transparency_shows_white(tmp_path: Path) -> None:
    """Black at an opacity of 102/255 = 0.4 on white: 0.6 * 255 = 153."""
    Image.new("RGBA", (10, 10), (0, 0, 0, 102)).save(tmp_path / "rgba.png")
    Image.new("LA", (10, 10), (0, 102)).save(tmp_path / "la.png")
    palette = Image.new("P", (10, 10), 1)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.save(tmp_path / "palette.png", transparency=1)
    assert levels(tmp_path / "rgba.png") == [153, 153, 153]
    assert levels(tmp_path / "la.png") == [153, 153, 153]
    assert levels(tmp_path / "palette.png") == [255, 255, 255]


def test_palette_and_black_and_white(tmp_path: Path) -> None:
    Image.new("RGB", (10, 10), (255, 0, 0)).quantize(4).save(tmp_path / "p.png")
    Image.new("1", (10, 10), 1).save(tmp_path / "bits.png")
    assert levels(tmp_path / "p.png") == [255, 0, 0]
    assert levels(tmp_path / "bits.png") == [255, 255, 255]


def test_cmyk_jpeg(tmp_path: Path) -> None:
    Image.new("CMYK", (64, 64), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    assert near(levels(tmp_path / "a.jpg"), [255, 0, 0], slack=4)


def test_the_camera_held_sideways(tmp_path: Path) -> None:
    """EXIF orientation 6: turn the stored picture a quarter clockwise, so that its left edge becomes the top."""
    stored = np.zeros((64, 64, 3), np.uint8)
    stored[:, :32] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = decode(tmp_path / "a.jpg", SMALL).astype(int)
    assert pixels[:, 1].min() > 245
    assert pixels[:, 6].max() < 10


def test_an_animation_shows_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (10, 10), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert levels(tmp_path / "a.gif") == [255, 0, 0]


def test_crop_cuts_the_sides_and_squeezing_keeps_them(tmp_path: Path) -> None:
    """A picture three times as wide as high, white in its middle third only."""
    wide = np.zeros((30, 90), np.uint8)
    wide[:, 30:60] = 255
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", Form(10, channels=1)).mean() > 250
    assert decode(tmp_path / "a.png", Form(10, crop=False, channels=1)).mean() == pytest.approx(85, abs=3)


def test_a_large_jpeg_decoded_small_is_the_same_picture(tmp_path: Path) -> None:
    """Decoding at a fraction of the size, as JPEG can, agrees with decoding it whole: a level and a half on average."""
    across, down = np.meshgrid(np.linspace(0, 255, 800), np.linspace(0, 255, 600))
    Image.fromarray(np.stack([across, down, 255 - across], -1).astype(np.uint8)).save(tmp_path / "a.jpg", quality=95)
    whole = Image.open(tmp_path / "a.jpg").resize((16, 16), Image.Resampling.LANCZOS, box=(100, 0, 700, 600))
    difference = decode(tmp_path / "a.jpg", Form(16)).astype(int) - np.asarray(whole).transpose(2, 0, 1)
    assert np.abs(difference).mean() < 1.5


@pytest.mark.parametrize("kind", ["L", "P", "RGB"])
def test_a_turned_tiff(tmp_path: Path, kind: str) -> None:
    """EXIF orientation 5: rows and columns are exchanged, so that the stored upper half becomes the left one."""
    stored = np.zeros((60, 20), np.uint8)
    stored[:30] = 255
    exif = Image.Exif()
    exif[0x0112] = 5
    Image.fromarray(stored).convert(kind).save(tmp_path / "a.tif", exif=exif)
    pixels = decode(tmp_path / "a.tif", Form(8, crop=False))
    assert pixels[:, :, 1].min() > 245
    assert pixels[:, :, 6].max() < 10


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full((8, 8), 0.5, np.float32), "floating-point pixels have no known range"),
        (np.full((8, 8), 200, np.int32), "signed or 32-bit pixels have no known range"),
    ],
)
def test_pixels_without_a_known_range_are_refused(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    Image.fromarray(array).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=reason):
        decode(tmp_path / "a.tif", SMALL)


def test_sixteen_bits_of_other_files(tmp_path: Path) -> None:
    """A PGM of 16 bits, which Pillow opens as 32-bit integers, and a TIFF whose zero is white."""
    (tmp_path / "a.pgm").write_bytes(b"P5 8 8 65535\n" + (100 * 257).to_bytes(2, "big") * 64)
    Image.fromarray(np.full((8, 8), 100 * 257, np.uint16)).save(tmp_path / "a.tif", tiffinfo={262: 0})
    assert levels(tmp_path / "a.pgm") == [100] * 3
    assert levels(tmp_path / "a.tif") == [155] * 3


def test_sixteen_bits_with_a_transparent_level(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 5, np.uint16)).save(tmp_path / "a.png", transparency=5)
    assert levels(tmp_path / "a.png") == [255] * 3


def test_a_flipped_byte_of_a_png_is_noticed(tmp_path: Path) -> None:
    """Its checksums are looked at: by itself, Pillow decodes the wrong picture."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(SyntaxError, match="broken PNG file"):
        decode(tmp_path / "a.png", SMALL)


def test_more_pixels_than_memory_is_lent_for(tmp_path: Path) -> None:
    """9,000 x 9,000 = 81 million of one bit each: 10 kB of file. A JPEG of that size is decoded at an eighth."""
    Image.new("1", (9000, 9000)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="9000 x 9000 pixels, more than the 67,108,864 that are decoded"):
        decode(tmp_path / "a.png", SMALL)
    Image.new("L", (9000, 9000), 77).save(tmp_path / "a.jpg")
    assert near(levels(tmp_path / "a.jpg"), [77] * 3)


def test_only_formats_of_pictures_are_opened(tmp_path: Path) -> None:
    """Pillow would start Ghostscript for this one."""
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n")
    with pytest.raises(ValueError, match="cannot identify the format"):
        decode(tmp_path / "a.png", SMALL)


def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ValueError, match="not a file"):
        decode(tmp_path / "a.png", SMALL)


def test_the_preparation_names_height_and_width_in_the_order_of_data_size() -> None:
    """A run says `3 x 32 x 48` of such pictures one line above."""
    assert preparation(Form([32, 48])) == "the middle of each picture is cut out and resized to 32 x 48"
