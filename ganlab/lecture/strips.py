"""Pictures in labelled rows, and a measure of sharpness."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ganlab.data.batch import to_uint8
from ganlab.files.durable import atomic_write
from ganlab.loggers.sheet import INK, PAPER, font, png
from ganlab.metrics.features import as_colour

GAP, GREY = 1, 225  # pixels between two pictures, and their level: many pictures are on white paper
ROOM = 12  # pixels between labels and pictures, and between rows


def strip(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) in [-1, 1] side by side, with grey between: (H, N (W + gap) - gap, 3), uint8."""
    framed = torch.nn.functional.pad(as_colour(to_uint8(images.cpu())), (0, GAP), value=GREY)
    return torch.cat(list(framed), dim=2)[:, :, :-GAP].permute(1, 2, 0)


def sheet(rows: Mapping[str, Tensor], enlarged: int = 2) -> Image.Image:
    """Return rows of pictures (N, C, H, W), each pixel `enlarged` pixels wide, with their labels on the left."""
    strips = [Image.fromarray(strip(images).contiguous().numpy()) for images in rows.values()]
    height, width = (enlarged * (side + GAP) for side in (strips[0].height, strips[0].width))
    left = int(max(map(font().getlength, rows))) + 2 * ROOM
    page = Image.new("RGB", (left + width, len(rows) * (height + ROOM)), PAPER)
    pen = ImageDraw.Draw(page)
    for number, (label, pixels) in enumerate(zip(rows, strips, strict=True)):
        top = number * (height + ROOM) + ROOM // 2
        page.paste(
            pixels.resize((pixels.width * enlarged, pixels.height * enlarged), Image.Resampling.NEAREST), (left, top)
        )
        pen.text((left - ROOM, top + height // 2), label, INK, font(), anchor="rm")
    return page


def draw(rows: Mapping[str, Tensor], file: Path, enlarged: int = 2) -> None:
    """Write the sheet as a PNG of 256 colors, chosen for it."""
    atomic_write(file, png(sheet(rows, enlarged).quantize(256, dither=Image.Dither.NONE)))


def steepness(images: Tensor) -> float:
    """Return the steepness of edges in pictures (N, C, H, W).

    It is sum g^2 / sum |g| over neighbours' differences g, across and down: the mean difference weighted by itself. An
    edge of height h over k pixels counts h / k, and the number of edges does not matter. (The mean of |g| alone does
    not change if an edge is blurred.) It is zero for constant pictures.
    """
    differences = torch.cat([images.diff(dim=-1).flatten(), images.diff(dim=-2).flatten()]).double()
    return float(differences.square().sum() / differences.abs().sum().clamp_min(1e-12))
