"""Decode one picture, a file or its bytes, to one uint8 array of the shape that training needs. Pillow only."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ganlab.config.ranges import sides
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

Encoded = Path | bytes
"""A picture's file, or the bytes of one."""


@dataclass(frozen=True)
class Form:
    """The form of all decoded pictures: `size` x `size` pixels, or height and width, with `channels` (1 or 3).

    `crop`: cut the middle of this aspect out. Otherwise squeeze the whole picture into the form.
    """

    size: int | Sequence[int]
    crop: bool = True
    channels: int = 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width)."""
        return (self.channels, *sides(self.size))

    def facts(self) -> dict[str, Any]:
        """Return the fields as plain values, for the cache's key."""
        return asdict(self)


@contextmanager
def opened(encoded: Encoded, least: int | None = None) -> Iterator[Image]:
    """Yield a picture, upright, on white, with 8 bits a channel. Meanwhile other threads decode less.

    Color profiles are not applied: values are taken as sRGB.

    Args:
        encoded: the picture's file, or its bytes.
        least: a sufficient side in pixels. A large JPEG then need not be decoded in full.

    Raises:
        Exception: the file is broken (whatever Pillow raises), has more than `PIXELS` pixels, or pixels of an unknown
            range.
    """
    with DECODING.spend(_cost(encoded, least)):
        yield _upright(encoded, least)


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
def _open(encoded: Encoded) -> Iterator[Image]:
    """Open a picture without decoding it.

    Pillow gets a file, not a path. It would map a path into memory, and then confuse the sides of a TIFF that is
    rotated by 90 degrees.
    """
    from PIL import Image, UnidentifiedImageError

    with _bytes_of(encoded) as source:
        try:
            file = Image.open(source, formats=_formats())
        except UnidentifiedImageError as error:
            raise ValueError("cannot identify the format, or the first bytes are broken") from error
        with file:
            yield file


def _bytes_of(encoded: Encoded) -> IO[bytes]:
    if isinstance(encoded, bytes):
        return io.BytesIO(encoded)
    if not stat.S_ISREG(encoded.stat().st_mode):
        raise ValueError("not a file")  # a FIFO would block
    return encoded.open("rb")


def _cost(encoded: Encoded, least: int | None) -> int:
    """Return the number of pixels that decoding holds in memory.

    A progressive JPEG is held in full, whatever its draft size is.
    """
    with _open(encoded) as file:
        width, height = file.size
        if least is not None and not file.info.get("progressive"):
            file.draft(None, (least, least))
            width, height = file.size
    if width * height > PIXELS:
        raise ValueError(f"{width} x {height} pixels, more than the {PIXELS:,} that are decoded: make it smaller")
    return width * height


def _upright(encoded: Encoded, least: int | None) -> Image:
    from PIL import ImageOps

    with _open(encoded) as file:
        if least is not None:
            file.draft(None, (least, least))
        _check_sums(file, encoded)
        ImageOps.exif_transpose(file, in_place=True)
        return _on_white(eight_bits(file))


def _check_sums(file: Image, encoded: Encoded) -> None:
    """Raise an error if a PNG's checksums are wrong. Pillow itself decodes flipped bytes without a warning."""
    if file.format == "PNG":
        with _open(encoded) as copy:
            copy.verify()


def preparation(form: Form) -> str:
    """Return in words what `in_form` does with a picture."""
    _, height, width = form.shape
    shape = " square" if height == width else ""
    squeezed = f"each picture is squeezed into a{shape or ' frame'}"
    how = f"the middle{shape} of each picture is cut out" if form.crop else squeezed
    return f"{how} and resized to {height} x {width}{', in grey' if form.channels == 1 else ''}"


def decode(encoded: Encoded, form: Form) -> np.ndarray:
    """Return a picture in its form: uint8 (C, height, width). Raise whatever Pillow raises."""
    with opened(encoded, DRAFT * max(form.shape[1:])) as picture:
        return in_form(picture, form)


def in_form(picture: Image, form: Form) -> np.ndarray:
    """Return a picture of any size as uint8 (C, height, width)."""
    from PIL import Image

    channels, height, width = form.shape
    picture = picture.convert("L" if channels == 1 else "RGB")
    box = _middle(*picture.size, width / height) if form.crop else None
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS, box=box))
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def _on_white(picture: Image) -> Image:
    """Return the picture with white in all places that an alpha channel or a palette marks as transparent."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture
    if picture.mode != "RGBA":
        picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)


def _middle(width: int, height: int, aspect: float) -> tuple[float, float, float, float]:
    """Return the largest box of an aspect (width / height) in the middle of a picture: left, top, right, bottom."""
    wide, high = min(width, height * aspect), min(height, width / aspect)
    left, top = (width - wide) / 2, (height - high) / 2
    return (left, top, left + wide, top + high)
