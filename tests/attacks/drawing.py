"""Pictures of four flat quadrants in every format and mode, written so that it is known what must be read.

The colors that a reader must find follow from what was drawn, by arithmetic that shares nothing with the reader.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageCms

LOSSLESS, LOSSY = 2, 10
"""Levels a color may be off. LOSSLESS: rounding of alpha and of color spaces. LOSSY: quantization of a flat block at
quality 75, up to half a step of 16 in luma, and the rounding of chroma; LAB has 8 bits for a wider range."""

MODES = {
    "PNG": ["1", "L", "LA", "P", "P clear", "RGB", "RGBA", "I;16", "adam7"],
    "JPEG": ["L", "RGB", "CMYK", "YCbCr"],
    "WEBP": ["RGB", "RGBA"],
    "AVIF": ["RGB", "RGBA"],
    "BMP": ["1", "L", "P", "RGB"],  # Pillow writes no alpha that a reader would know
    "GIF": ["L", "P", "P clear"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"],
    "PPM": ["1", "L", "RGB", "I;16"],
    "JPEG2000": ["L", "RGB", "RGBA"],
}
SUFFIXES = {
    "PNG": [".png", ".PNG", ".apng"],
    "JPEG": [".jpg", ".jpeg", ".JPG", ".jfif"],
    "WEBP": [".webp"],
    "AVIF": [".avif"],
    "BMP": [".bmp", ".dib"],
    "GIF": [".gif", ".GIF"],
    "TIFF": [".tif", ".tiff"],
    "PPM": [".ppm", ".pgm", ".pnm"],
    "JPEG2000": [".jp2"],
}
TURNED = ("JPEG", "PNG", "WEBP", "TIFF")  # formats in which Pillow writes an orientation
ANIMATED = ("GIF", "WEBP", "PNG", "TIFF", "AVIF")
UNRANGED = ("LAB", "I", "F")  # modes that are right to leave out
ORIENTED = {  # what turns an upright picture into the stored one of this EXIF orientation
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.swapaxes(np.rot90(a, 2), 0, 1),
    8: lambda a: np.rot90(a, 3),
}


@dataclass
class Drawn:
    """A picture file's bytes. `colors`: (2, 2, 3), what its quadrants must show, off by `slack` at most."""

    data: bytes
    format: str
    mode: str
    colors: np.ndarray
    slack: int
    notes: list[str] = field(default_factory=list)

    @property
    def what(self) -> str:
        return " ".join([self.format, self.mode, *self.notes])


def draw(rng: random.Random) -> Drawn:
    """Draw a whole picture of random format, mode, size, colors and options."""
    kind = rng.choice(list(MODES))
    mode = rng.choice(MODES[kind])
    size = (2 * rng.randint(8, 150), 2 * rng.randint(8, 150))
    colors = np.array([[rng.randint(40, 255) for _ in range(4)] for _ in range(4)]).reshape(2, 2, 4)
    if rng.random() < 0.1:  # odd aspect: too narrow for quadrants
        size = rng.choice([(rng.randint(1, 7), 3000), (3000, rng.randint(1, 7)), (1, 1)])
        colors[:] = colors[0, 0]
        mode = "P" if mode == "P clear" else mode
    if mode == "adam7":
        return Drawn(_adam7(_spread(colors[..., :3], size)), kind, mode, colors[..., :3], LOSSLESS)
    notes: list[str] = []
    options = _options(kind, mode, rng, notes)
    pixels, expected = _in_mode(mode, colors)
    turned = (
        rng.randint(2, 8) if kind in TURNED and rng.random() < 0.3 and mode not in ("1", "P clear", *UNRANGED) else 1
    )
    stored = _spread(pixels, size) if turned == 1 else ORIENTED[turned](_spread(pixels, size))
    if turned > 1:
        notes.append(f"orientation {turned}")
        options["exif"] = _exif(turned)
    picture = _picture(mode, np.ascontiguousarray(stored))
    if kind in ANIMATED and rng.random() < 0.2 and mode in ("RGB", "RGBA", "P", "L"):
        notes.append("frames")
        options |= {"save_all": True, "append_images": [Image.new(picture.mode, picture.size, 9) for _ in range(2)]}
    file = io.BytesIO()
    picture.save(file, kind, **options)
    lossless = kind in ("PNG", "BMP", "GIF", "PPM", "TIFF") or options.get("lossless")
    slack = LOSSY if mode in ("YCbCr", "LAB") or "jpeg" in notes or not lossless else LOSSLESS
    return Drawn(file.getvalue(), kind, mode, expected, slack, notes)


def _options(kind: str, mode: str, rng: random.Random, notes: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if kind in ("JPEG", "WEBP", "AVIF"):
        options["quality"] = rng.randint(75, 95)
    if kind == "JPEG" and rng.random() < 0.4:
        options["progressive"] = True
    if kind == "WEBP" and rng.random() < 0.5:
        options["lossless"] = True
    if kind == "AVIF":
        options["speed"] = 10
    if kind == "TIFF":
        plain = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"]
        options["compression"] = rng.choice(plain + (["jpeg"] if mode in ("L", "RGB") else []))
        notes.append(options["compression"])
    if mode == "P clear":
        options["transparency"] = 0
    if kind in ("PNG", "JPEG", "WEBP", "TIFF") and mode == "RGB" and rng.random() < 0.3:
        options["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        notes.append("icc")
    return options


def _in_mode(mode: str, colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Four colors as the mode stores them, (2, 2, ...), and as they must be seen, (2, 2, 3)."""
    rgb, alpha, grey = colors[..., :3], colors[..., 3:] / 255, colors[..., :1]
    if mode == "1":
        bits = (grey >= grey.max()) * 255  # some white, so that it is told from the plain pictures beside it
        return bits[..., 0], np.repeat(bits, 3, -1)
    if mode in ("L", "I", "F", "I;16"):
        scale = 257 if mode == "I;16" else 1
        return grey[..., 0] * scale, np.repeat(grey, 3, -1)
    if mode == "LA":
        seen = grey * alpha + 255 * (1 - alpha)
        return np.concatenate([grey, colors[..., 3:]], -1), np.repeat(seen, 3, -1)
    if mode == "RGBA":
        return colors, rgb * alpha + 255 * (1 - alpha)
    if mode in ("P", "P clear"):
        seen = rgb.copy()
        if mode == "P clear":
            seen[0, 0] = 255
        return rgb, seen
    if mode == "CMYK":
        return np.concatenate([255 - rgb, np.zeros_like(grey)], -1), rgb
    return rgb, rgb


def _spread(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(2, 2, ...) -> (height, width, ...)."""
    width, height = size
    rows, columns = np.arange(height) * 2 // height, np.arange(width) * 2 // width
    return pixels[rows][:, columns]


def _picture(mode: str, pixels: np.ndarray) -> Image.Image:
    if mode in ("P", "P clear"):
        return _palette(pixels)
    if mode in ("YCbCr", "LAB"):
        rgb = Image.fromarray(pixels.astype(np.uint8))
        return rgb.convert("YCbCr") if mode == "YCbCr" else _lab(rgb)
    kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
    array = pixels.astype(kinds.get(mode, np.uint8))
    if mode == "F":
        array /= 255
    if mode == "1":
        return Image.fromarray(array).convert("1", dither=Image.Dither.NONE)
    return Image.fromarray(array, mode="CMYK") if mode == "CMYK" else Image.fromarray(array)


def _palette(pixels: np.ndarray) -> Image.Image:
    """Index 0 is the first quadrant's color; a color that comes twice has two indices."""
    half = (pixels.shape[0] + 1) // 2, (pixels.shape[1] + 1) // 2
    marks = np.zeros(pixels.shape[:2], np.uint8)
    marks[half[0] :] += 2
    marks[:, half[1] :] += 1
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    picture = Image.fromarray(marks, mode="P")
    picture.putpalette(corners.astype(np.uint8).tobytes())
    return picture


def _lab(picture: Image.Image) -> Image.Image:
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    done = ImageCms.applyTransform(picture, transform)
    assert done is not None
    return done


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


# PNG by hand ------------------------------------------------------------------------------------------------------


def png(width: int, height: int, bits: int, color: int, rows: bytes, interlaced: bool = False) -> bytes:
    """A PNG of filtered `rows`, which need not fit the header."""
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlaced)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _adam7(pixels: np.ndarray) -> bytes:
    """RGB in the seven passes of an interlaced PNG, which Pillow does not write."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [pixels[row::down, column::across].astype(np.uint8) for row, column, down, across in passes]
    rows = b"".join(b"\0" + line.tobytes() for part in parts if part.size for line in part)
    return png(pixels.shape[1], pixels.shape[0], 8, 2, rows, interlaced=True)
