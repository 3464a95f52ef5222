"""Decode one picture file to one uint8 array of the shape that training needs. Pillow only, without state."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganlab.data.budget import Budget
from ganlab.data.depth import eight_bits

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
SUFFIXES |= {".apng", ".jfif", ".dib", ".pbm", ".pnm", ".jp2", ".j2k"}
CAMERA = {".heic", ".heif", ".dng", ".cr2", ".cr3", ".nef", ".arw"}
FOREIGN = dict.fromkeys(
    CAMERA | {".jxl", ".svg", ".psd", ".exr", ".hdr", ".tga", ".ico"},
    "a format that is not read: convert it to PNG or JPEG",
)
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "AVIF", "BMP", "DIB", "GIF", "TIFF", "PPM", "JPEG2000")
"""The accepted file formats, whatever the suffix.

Other formats of Pillow's start programs (EPS) or accept any bytes (TGA).
"""
PIXELS = 2**26  # the most that all threads together decode at a time: 8192 x 8192, at most 1.3 GB
DRAFT = 2  # a JPEG is decoded at no less than this many times the requested side: faster, without loss

DECODING = Budget(PIXELS)


@dataclass(frozen=True)
class Form:
    """The form of all decoded pictures: `size` x `size` pixels with `channels` (1 or 3).

    `crop`: cut the middle square out. Otherwise squeeze the whole picture into a square.
    """

    size: int
    crop: bool = True
    channels: int = 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (channels, side, side)."""
        return (self.channels, self.size, self.size)

    def facts(self) -> dict[str, Any]:
        """Return the fields as plain values, for the cache's key."""
        return asdict(self)


@contextmanager
def opened(path: Path, least: int | None = None) -> Iterator[Image]:
    """Yield the picture in `path`, upright, on white, with 8 bits a channel. Meanwhile other threads decode less.

    Color profiles are not applied: values are taken as sRGB.

    Args:
        path: the picture's file.
        least: a sufficient side in pixels. A large JPEG then need not be decoded in full.

    Raises:
        Exception: the file is broken (whatever Pillow raises), has more than `PIXELS` pixels, or pixels of an unknown
            range.
    """
    with DECODING.spend(_cost(path, least)):
        yield _upright(path, least)


def read_picture(path: Path) -> Image:
    """Return the picture in `path` at its own size. Raise what `opened` raises."""
    with opened(path) as picture:
        return picture


@cache
def _formats() -> list[str]:
    """Return the `FORMATS` that this Pillow can read."""
    from PIL import Image

    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


@contextmanager
def _open(path: Path) -> Iterator[Image]:
    """Open a picture without decoding it.

    Pillow gets a file, not a path. It would map a path into memory, and then confuse the sides of a TIFF that is
    rotated by 90 degrees.
    """
    from PIL import Image, UnidentifiedImageError

    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a file")  # a FIFO would block
    with path.open("rb") as source:
        try:
            file = Image.open(source, formats=_formats())
        except UnidentifiedImageError as error:
            raise ValueError("cannot identify the format, or the first bytes are broken") from error
        with file:
            yield file


def _cost(path: Path, least: int | None) -> int:
    """Return the number of pixels that decoding holds in memory.

    A progressive JPEG is held in full, whatever its draft size is.
    """
    with _open(path) as file:
        width, height = file.size
        if least is not None and not file.info.get("progressive"):
            file.draft(None, (least, least))
            width, height = file.size
    if width * height > PIXELS:
        raise ValueError(f"{width} x {height} pixels, more than the {PIXELS:,} that are decoded: make it smaller")
    return width * height


def _upright(path: Path, least: int | None) -> Image:
    from PIL import ImageOps

    with _open(path) as file:
        if least is not None:
            file.draft(None, (least, least))
        _check_sums(file, path)
        ImageOps.exif_transpose(file, in_place=True)
        return _on_white(eight_bits(file))


def _check_sums(file: Image, path: Path) -> None:
    """Raise an error if a PNG's checksums are wrong. Pillow itself decodes flipped bytes without a warning."""
    if file.format == "PNG":
        with _open(path) as copy:
            copy.verify()


def preparation(form: Form) -> str:
    """Return in words what `in_form` does with a picture."""
    how = "the middle square of each picture is cut out" if form.crop else "each picture is squeezed into a square"
    return f"{how} and resized to {form.size} x {form.size}{', in grey' if form.channels == 1 else ''}"


def decode(path: Path, form: Form) -> np.ndarray:
    """Return the picture in `path` in its form: uint8 (C, size, size). Raise whatever Pillow raises."""
    with opened(path, DRAFT * form.size) as picture:
        return in_form(picture, form)


def in_form(picture: Image, form: Form) -> np.ndarray:
    """Return a picture of any size as uint8 (C, size, size)."""
    from PIL import Image

    picture = picture.convert("L" if form.channels == 1 else "RGB")
    box = _middle_square(*picture.size) if form.crop else None
    pixels = np.asarray(picture.resize((form.size, form.size), Image.Resampling.LANCZOS, box=box))
    return pixels.reshape(form.size, form.size, form.channels).transpose(2, 0, 1)


def _on_white(picture: Image) -> Image:
    """Return the picture with white in all places that an alpha channel or a palette marks as transparent."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture
    if picture.mode != "RGBA":
        picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)


def _middle_square(width: int, height: int) -> tuple[float, float, float, float]:
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return (left, top, left + side, top + side)
