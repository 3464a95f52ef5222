"""Read pictures of coloured shapes (`data=shapes`), deterministically and without anything learned.

Each picture is read on a 32 x 32 grid. Pixels take the nearest colour of the palette; connected pixels of one
colour are a thing; its area tells its size; its shape is the one whose drawing, of the same area at the same place,
covers it best, if one covers it well. Plain torch and numpy; knows nothing of captions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ganlab.data.drawing import BACKGROUND, DIAMETER, coverage
from ganlab.data.scenes import COLOURS, SHAPES

GRID = 32
SOLID = 0.5  # a pixel belongs to a thing when at least this much of it is painted
OFF_COLOUR = 70.0  # levels: a pixel further than this from every mixture of background and a colour is no colour's
LEAST = 10  # pixels: fewer are a speck; the smallest thing, a small triangle, has about 43
LITTER = 14.0  # pixels of paint outside all things that are overlooked
CONTRAST = 1.5  # paint is stretched around one half by this: undoes a little blur, forgives faint stains
OVERLAP = 0.75  # intersection over union with its shape's drawing that a thing needs; a true one has over 0.92
LEAD = 0.02  # by which the best shape must beat the next; a true one does by 0.09
AREA = {"circle": np.pi / 4, "square": 0.81, "triangle": 1.15**2 / 2}  # at diameter 1
BETWEEN = (DIAMETER["small"] * DIAMETER["large"]) ** 0.5  # where small becomes large
CHUNK = 256


@dataclass(frozen=True)
class Sighting:
    """A thing as seen: `center` (x, y) in shares of the side; `shape` is "unclear" where no drawing fits."""

    size: str
    colour: str
    shape: str
    center: tuple[float, float]


@dataclass(frozen=True)
class View:
    """The content of one picture: its things, the largest first. litter: whether there is paint outside of them."""

    things: tuple[Sighting, ...]
    litter: bool = False


def look(images: Tensor) -> list[View]:
    """Return what each of the uint8 pictures (N, 3, S, S) shows; S is at least 32."""
    return [view for chunk in torch.split(images.cpu(), CHUNK) for view in _look(chunk)]


def _look(images: Tensor) -> list[View]:
    pixels = F.adaptive_avg_pool2d(images.float(), GRID)
    paint, colour = paint_and_colour(pixels)
    parts = components(torch.where(paint >= SOLID, colour, -1))
    row, mask = _things(parts)
    which = torch.stack([colour[r][m][0] for r, m in zip(row, mask, strict=True)]) if len(row) else row
    near = F.max_pool2d(mask[:, None].float(), 3, 1, 1)[:, 0] if len(row) else mask.float()
    own = _stretch(_paint_of(pixels[row], which)) * near
    seen = _recognize(own.numpy(), which.numpy())
    covered = torch.zeros(len(pixels), GRID, GRID).index_add_(0, row, near).clamp_(max=1)
    litter = (_stretch(paint) * (1 - covered)).sum((1, 2)) > LITTER
    return [View(tuple(seen[i] for i in np.flatnonzero(row == n)), bool(litter[n])) for n in range(len(pixels))]


def _rays() -> Tensor:
    """Return (colours, 3): the difference of each colour from the background."""
    return torch.tensor(list(COLOURS.values())).float() - torch.tensor(BACKGROUND).float()


def paint_and_colour(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return how much of each pixel of (N, 3, S, S) is painted, (N, S, S) in [0, 1], and the index of its colour.

    Nearest is the colour whose mixture with the background comes closest; a pixel that is far from all of them counts
    as painted, with colour -1.
    """
    rays = _rays()
    offset = (pixels - torch.tensor(BACKGROUND).view(3, 1, 1)).movedim(1, -1)
    share = (offset @ rays.T / rays.square().sum(1)).clamp(0, 1)
    distance = (offset[..., None, :] - share[..., None] * rays).norm(dim=-1)
    nearest, colour = distance.min(-1)
    foreign = nearest > OFF_COLOUR
    paint = share.gather(-1, colour[..., None])[..., 0]
    return torch.where(foreign, 1.0, paint), torch.where(foreign, -1, colour)


def _paint_of(pixels: Tensor, colour: Tensor) -> Tensor:
    """Return how much of each pixel of (M, 3, S, S) the colour (M,) paints: (M, S, S)."""
    ray = _rays()[colour]
    offset = pixels - torch.tensor(BACKGROUND).view(3, 1, 1)
    return (torch.einsum("mchw,mc->mhw", offset, ray) / ray.square().sum(1)[:, None, None]).clamp(0, 1)


def _stretch(paint: Tensor) -> Tensor:
    return ((paint - 0.5) * CONTRAST + 0.5).clamp(0, 1)


def components(labels: Tensor) -> Tensor:
    """Return the same number in all pixels of a connected part, 0 elsewhere, for labels (N, S, S), -1 for none.

    Every pixel starts with its own number and takes the largest among its neighbours of the same label until all agree.
    """
    parts = torch.arange(1, labels[0].numel() + 1).view(1, *labels.shape[1:]).float() * (labels >= 0)
    planes = torch.stack([labels == k for k in range(len(COLOURS))], dim=1).float()
    while True:
        spread = (F.max_pool2d(parts[:, None] * planes, 3, 1, 1) * planes).sum(1)
        if torch.equal(spread, parts):
            return parts.long()
        parts = spread


def _things(parts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the picture (M,) and the pixels (M, S, S) of each part of `LEAST` pixels; a picture's largest first."""
    rows, masks = [], []
    for row, part in enumerate(parts):
        numbers, areas = part[part > 0].unique(return_counts=True)
        for number in numbers[areas >= LEAST][areas[areas >= LEAST].argsort(descending=True)]:
            rows.append(row)
            masks.append(part == number)
    return torch.tensor(rows, dtype=torch.long), torch.stack(masks) if masks else torch.zeros(
        0, *parts.shape[1:]
    ).bool()


def _recognize(paint: np.ndarray, colour: np.ndarray) -> list[Sighting]:
    """Return what each of M things is, from the paint (M, S, S) that belongs to it."""
    area = paint.sum((1, 2)) / GRID**2
    places = (np.arange(GRID) + 0.5) / GRID
    middle = np.stack([(paint.sum(1) * places).sum(1), (paint.sum(2) * places).sum(1)], 1) / (area[:, None] * GRID**2)
    fits = np.stack([_fit(paint, area, middle, name) for name in SHAPES])
    best = fits.argmax(0)
    second, first = np.sort(fits, axis=0)[-2:]
    clear = (first >= OVERLAP) & (first - second >= LEAD)
    shapes = [SHAPES[k] if sure else "unclear" for k, sure in zip(best, clear, strict=True)]
    diameters = [(area[m] / AREA[SHAPES[k]]) ** 0.5 for m, k in enumerate(best)]
    names = list(COLOURS)
    return [
        Sighting("small" if d < BETWEEN else "large", names[c], shape, (float(x), float(y)))
        for d, c, shape, (x, y) in zip(diameters, colour, shapes, middle, strict=True)
    ]


def _fit(paint: np.ndarray, area: np.ndarray, middle: np.ndarray, name: str) -> np.ndarray:
    """Return the intersection over union (M,) of things with drawings of one shape, of their area and center."""
    diameter = (area / AREA[name]) ** 0.5
    lift = (
        diameter * 1.15 / 6 if name == "triangle" else 0 * diameter
    )  # mass sits a sixth of its height below the middle
    drawn = coverage(np.full(len(area), SHAPES.index(name)), diameter, middle - np.stack([0 * lift, lift], 1), GRID)
    return np.minimum(drawn, paint).sum((1, 2)) / np.maximum(drawn, paint).sum((1, 2)).clip(1e-9)
