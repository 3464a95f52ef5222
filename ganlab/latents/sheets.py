"""Sheets of edited pictures: a row for each point, a column for each change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganlab.core.generative import GenerativeModule
from ganlab.data.progress import progress
from ganlab.files.durable import atomic_write
from ganlab.latents.directions import Direction, along, layer_mask, mixed
from ganlab.latents.points import Point, check_styles, pictures
from ganlab.loggers.sheet import grid, png
from ganlab.networks.styles import style_layers


@dataclass(frozen=True)
class Sheet:
    """Points row by row with a caption each, `columns` in a row. name: of the file. words: for the closing line."""

    name: str
    words: str
    points: Sequence[Point]
    captions: Sequence[str]
    columns: int


def strips(
    direction: Direction, rows: Mapping[str, Point], strengths: Sequence[float], mask: Tensor | None = None
) -> Sheet:
    """Return a sheet of points along a direction: a row for each point by its name, a column for each strength."""
    found = [point for row in rows.values() for point in along(row, direction, strengths, mask)]
    captions = [f"{name}: {strength:+g}" if strength else name for name in rows for strength in strengths]
    space = "styles" if direction.in_styles else "latents"
    share = "" if direction.share is None else f", {direction.share:.1%} of the first layers' change"
    return Sheet(direction.name, f"{direction.name}, a direction of {space}{share}", found, captions, len(strengths))


def mixing(
    module: GenerativeModule,
    rows: Mapping[str, Point],
    columns: Mapping[str, Point],
    layers: Sequence[int] = (),
    truncation: float = 1.0,
) -> Sheet:
    """Return a table of mixed styles: points with the styles of other points in `layers`, by default the finer half.

    The first column has the rows' own pictures, and the first row those whose styles are taken. Its corner repeats the
    first of them. Raise `UserError` for a network without styles, or a layer that it does not have.
    """
    check_styles(module)
    count = style_layers(module.average)[0].layers
    layers = list(layers) or list(range(count // 2, count))
    layer_mask(module, layers)  # raises for a layer that is not there
    first, *_ = columns.items()
    points, captions = [first[1], *columns.values()], [f"styles {first[0]}", *(f"styles {name}" for name in columns)]
    for name, row in rows.items():
        points += [row, *(mixed(module, row, column, layers, truncation) for column in columns.values())]
        captions += [name, *(f"{name} with {column}" for column in columns)]
    words = f"styles of the columns in layers {', '.join(map(str, layers))} of {count}"
    return Sheet("mix", words, points, captions, len(columns) + 1)


def write_sheet(module: GenerativeModule, sheet: Sheet, folder: Path, truncation: float = 1.0) -> Path:
    """Draw a sheet's points and write them as one PNG. Return its path."""
    drawn = progress(pictures(module, sheet.points, truncation), len(sheet.points), f"drawing {sheet.name}:")
    return atomic_write(
        folder / f"{sheet.name}.png", png(grid(torch.stack(list(drawn)), sheet.captions, sheet.columns))
    )
