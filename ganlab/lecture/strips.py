"""Pictures in labelled rows, and how sharp they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from ganlab.batch import to_uint8
from ganlab.lecture import drawing
from ganlab.metrics.features import as_colour

GAP = 2  # white pixels between two pictures


def strip(images: Tensor) -> Tensor:
    """(N, C, H, W) in [-1, 1] -> one picture (H, N (W + gap) - gap, 3), uint8, side by side on white."""
    framed = torch.nn.functional.pad(as_colour(to_uint8(images.cpu())), (0, GAP), value=255)
    return torch.cat(list(framed), dim=2)[:, :, :-GAP].permute(1, 2, 0)


def draw(rows: Mapping[str, Tensor], file: Path, enlarged: int = 2) -> None:
    """A row of pictures (N, C, H, W) a label, the labels on the left; each pixel `enlarged` pixels wide."""
    strips = {label: strip(images) for label, images in rows.items()}
    height, width, _ = next(iter(strips.values())).shape
    wide, high = 0.9 * width * enlarged / 64, height * enlarged / 64
    figure = Figure(figsize=(wide, 1.08 * high * len(strips)), dpi=72, layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (label, pixels) in zip(figure.subplots(len(strips), 1, squeeze=False)[:, 0], strips.items(), strict=True):
        axis.imshow(pixels.numpy(), interpolation="nearest")
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    drawing.save(figure, file)


def steepness(images: Tensor) -> float:
    """How steep edges are in pictures (N, C, H, W): sum g^2 / sum |g| over neighbours' differences g, across and down.

    The mean difference weighed by itself: an edge of height h over k pixels counts h / k, and how many edges there are
    does not matter (the mean of |g| alone would not change when an edge is blurred). Zero where nothing changes.
    """
    differences = torch.cat([images.diff(dim=-1).flatten(), images.diff(dim=-2).flatten()]).double()
    return float(differences.square().sum() / differences.abs().sum().clamp_min(1e-12))
