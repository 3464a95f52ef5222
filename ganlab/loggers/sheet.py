"""Pictures on one sheet, each with its caption under it; points as a scatter plot. Pure functions."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ganlab.data.batch import to_uint8
from ganlab.files.png import png_bytes
from ganlab.metrics.features import as_colour

LEGIBLE = 96  # pixels: smaller pictures are enlarged to at least this by a whole factor, each pixel a square
MARGIN = 6
FONT_SIZE = 12
LINES = 3  # of a caption; longer text ends in an ellipsis
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}  # of Pillow's modes
INK, PAPER = (40, 40, 40), (255, 255, 255)


class Exhibit(NamedTuple):
    """One sheet of pictures, and the same pictures as single ones with their captions (None without captions)."""

    sheet: Image.Image
    pictures: list[Image.Image]
    captions: list[str] | None


@lru_cache
def font() -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which comes with matplotlib and has Latin, Greek, Cyrillic and many signs."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), FONT_SIZE)


def pieces(word: str, width: float) -> list[str]:
    """Return the pieces of a word, cut so that none is wider than `width` pixels."""
    parts = [""]
    for letter in word:
        if parts[-1] and font().getlength(parts[-1] + letter) > width:
            parts.append("")
        parts[-1] += letter
    return parts


def wrap(caption: str, width: float) -> list[str]:
    """Return a caption in at most `LINES` lines of `width` pixels."""
    lines: list[str] = []
    for word in [part for whole in caption.split() for part in pieces(whole, width)]:
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and font().getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], shortened(lines[LINES - 1], width)]


def shortened(line: str, width: float) -> str:
    """Return the line with an ellipsis, in `width` pixels."""
    while line and font().getlength(line + "…") > width:
        line = line[:-1]
    return line.rstrip() + "…"


@lru_cache(maxsize=1024)
def label(caption: str, width: int) -> Image.Image:
    """Return a caption, wrapped and centred, as a picture `width` pixels wide. Many sheets show the same captions."""
    lines, height = wrap(caption, width), FONT_SIZE + 3
    paper = Image.new("RGB", (width, height * len(lines)), PAPER)
    pen = ImageDraw.Draw(paper)
    for number, words in enumerate(lines):
        pen.text(((width - font().getlength(words)) / 2, number * height), words, INK, font())
    return paper


def picture(image: Tensor) -> Image.Image:
    """Return an image (C, H, W), uint8 or in [-1, 1], as a picture that is large enough to see.

    It may have 1 to 4 channels. Alpha is composited on white.
    """
    levels = as_colour(to_uint8(image[None]) if image.is_floating_point() else image[None])[0]
    height, width = levels.shape[1:]
    factor = max(1, -(-LEGIBLE // min(height, width)))
    small = Image.fromarray(np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy()))
    return small.resize((width * factor, height * factor), Image.Resampling.NEAREST)


def grid(images: Tensor, captions: Sequence[str] | None = None, columns: int = 8) -> Image.Image:
    """Return a sheet of N pictures (N, C, H, W), uint8 or in [-1, 1], row by row, with N captions under them.

    Small pictures are enlarged by a whole factor, so that each generated pixel is visible. Raise `ValueError` if the
    numbers of captions and pictures differ.
    """
    captions = [""] * len(images) if captions is None else list(captions)
    if len(captions) != len(images) or not len(images):
        raise ValueError(f"a grid needs pictures and a caption each, got {len(images)} and {len(captions)}")
    cells = [picture(image) for image in images.detach().cpu()]
    width, height = cells[0].size
    labels = [label(caption, width) for caption in captions]
    columns = min(columns, len(cells))
    row_height = height + 2 * MARGIN + max(one.height for one in labels)
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * (width + MARGIN) + MARGIN, rows * row_height + MARGIN), PAPER)
    for i, (cell, words) in enumerate(zip(cells, labels, strict=True)):
        left, top = MARGIN + i % columns * (width + MARGIN), MARGIN + i // columns * row_height
        sheet.paste(cell, (left, top))
        sheet.paste(words, (left, top + height + 3))
    return sheet


def comparison(kinds: Mapping[str, Tensor], across: int = 3) -> Image.Image:
    """Return N pictures of each kind, uint8 (N, C, H, W), matching ones side by side, `across` sets in each row."""
    together = torch.stack(list(kinds.values()), 1).flatten(0, 1)
    return grid(together, list(kinds) * (len(together) // len(kinds)), across * len(kinds))


def scatter(real: Tensor, generated: Tensor) -> Image.Image:
    """Return a scatter plot of points (N, 2) and (M, 2): the generated over the real, in the window of the real ones.

    If there are no real points, the window is that of the generated ones.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    real, generated = real.cpu(), generated.detach().cpu()
    figure = Figure(figsize=(5, 5), dpi=100, layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.scatter(real[:, 0], real[:, 1], s=6, c="0.75", label="real", linewidths=0)
    axes.scatter(generated[:, 0], generated[:, 1], s=6, c="tab:red", alpha=0.6, label="generated", linewidths=0)
    known = real if len(real) else generated
    low, high = float(known.min()), float(known.max())
    room = 0.15 * (high - low)
    axes.set(xlim=(low - room, high + room), ylim=(low - room, high + room), aspect="equal")
    axes.legend(loc="upper right", fontsize=8, markerscale=2)
    return drawn(figure)


def drawn(figure: Any) -> Image.Image:
    """Return a matplotlib figure as a picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(buffer).convert("RGB")


def png(image: Image.Image) -> bytes:
    """Return the picture as the bytes of a PNG file. One with a palette is written by Pillow."""
    if image.mode in CHANNELS:
        return png_bytes(np.asarray(image).reshape(image.height, image.width, CHANNELS[image.mode]))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
