"""Convert pictures of more than 8 bits a channel to 8 bits. A picture of an unknown range is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

UNKNOWN = "pixels have no known range: convert it to 8 or 16 bits"
BITS, PHOTOMETRIC = 258, 262  # TIFF's tags
WHITE_IS_ZERO = 0


def eight_bits(picture: Image) -> Image:
    """Scale 16-bit grey (0..65535) to 0..255. Pillow itself would clip everything above 255.

    Raises:
        ValueError: the pixels are 32-bit, signed or floating-point numbers, whose range no file states.
    """
    if picture.mode == "F":
        raise ValueError(f"floating-point {UNKNOWN}")
    if not picture.mode.startswith("I"):
        return picture
    if picture.mode == "I" and picture.format == "TIFF":
        raise ValueError(f"signed or 32-bit {UNKNOWN}")
    return _scaled(picture)


def _scaled(picture: Image) -> Image:
    from PIL import Image

    stored = np.asarray(picture)
    levels = stored / np.float32(_top(picture) / 255)
    if _tag(picture, PHOTOMETRIC, 1) == WHITE_IS_ZERO:
        np.subtract(255, levels, out=levels)
    np.clip(np.rint(levels, out=levels), 0, 255, out=levels)  # in place: the picture may be large
    grey = Image.fromarray(levels.astype(np.uint8))
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(Image.fromarray(np.where(stored == clear, 0, 255).astype(np.uint8)))
    return grey


def _top(picture: Image) -> int:
    """Return the level of white: 65535, or 4095 in a TIFF of 12 bits."""
    return int(2 ** _tag(picture, BITS, 16) - 1)


def _tag(picture: Image, number: int, default: int) -> int:
    """Return the first number of a TIFF tag, or `default` for other formats."""
    value = getattr(picture, "tag_v2", {}).get(number, default)
    return int(value[0] if isinstance(value, tuple) else value)
