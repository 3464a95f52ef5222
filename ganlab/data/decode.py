"""One picture file -> one uint8 array of the shape that training wants. Pillow only; keeps nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
DRAFT = 2  # a JPEG is decoded at no less than this many times the side asked for: faster, and nothing is lost


@dataclass(frozen=True)
class Form:
    """What every picture is made into: `size` x `size` pixels with `channels` (1 or 3).

    `crop`: cut the middle square out; otherwise squeeze the whole picture into a square.
    """

    size: int
    crop: bool = True
    channels: int = 3

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, self.size, self.size)

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def read_picture(path: Path, least: int | None = None) -> Image:
    """The picture in `path`, upright, on white, of 8 bits; raises whatever Pillow raises.

    `least`: a side that will do, so that a large JPEG need not be decoded in full.
    """
    from PIL import Image, ImageOps

    with Image.open(path) as file:
        if least is not None:
            file.draft(None, (least, least))
        return _on_white(_eight_bits(ImageOps.exif_transpose(file)))


def decode(path: Path, form: Form) -> np.ndarray:
    """The picture in `path` in its form: uint8 (C, size, size). Raises whatever Pillow raises."""
    return in_form(read_picture(path, DRAFT * form.size), form)


def in_form(picture: Image, form: Form) -> np.ndarray:
    """A picture, however large, as uint8 (C, size, size)."""
    from PIL import Image

    picture = picture.convert("L" if form.channels == 1 else "RGB")
    box = _middle_square(*picture.size) if form.crop else None
    pixels = np.asarray(picture.resize((form.size, form.size), Image.Resampling.LANCZOS, box=box))
    return pixels.reshape(form.size, form.size, form.channels).transpose(2, 0, 1)


def _eight_bits(picture: Image) -> Image:
    """16-bit grey (0..65535) scaled to 0..255; Pillow itself would cut everything above 255 off."""
    from PIL import Image

    if not picture.mode.startswith("I"):
        return picture
    levels = np.asarray(picture).astype(np.float64) / 257  # 65535 / 255
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))


def _on_white(picture: Image) -> Image:
    """What is transparent shows white, whether by an alpha channel or by a transparent colour of a palette."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)


def _middle_square(width: int, height: int) -> tuple[float, float, float, float]:
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return (left, top, left + side, top + side)
