"""The common style of the lecture's figures: their colors, their panels, and their files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ganlab.files.durable import atomic_write

REAL, GENERATED, JUDGED, TRUTH = "tab:green", "tab:red", "tab:blue", "0.35"
"""The colors of the data, the model, the discriminator's output, and exact values."""


def panels(columns: int = 1, rows: int = 1, width: float = 4.4, height: float = 3.3) -> tuple[Figure, Any]:
    """Return a figure and its axes, an array (rows, columns); `width` and `height` of each in inches."""
    figure = Figure(figsize=(columns * width, rows * height), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.grid(color="0.92")
        axis.set_axisbelow(True)
    return figure, axes


def picture(figure: Figure) -> Image.Image:
    """Return the figure as a picture."""
    figure.canvas.draw()
    return Image.fromarray(np.asarray(figure.canvas.buffer_rgba()).copy()).convert("RGB")  # type: ignore[attr-defined]


def save(figure: Figure, file: Path) -> Path:
    """Write a PNG of 256 colors and return its path. That is enough for curves, at a third of the size."""
    buffer = io.BytesIO()
    picture(figure).quantize(256, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return atomic_write(file, buffer.getvalue())
