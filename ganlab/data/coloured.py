"""Coloured hearts, circles and squares among the emoji, and an oracle that reads colour and shape from pixels.

The oracle uses geometry and a palette. No part of it is trained. Plain numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white")
SHAPES = ("heart", "circle", "square")
PALETTE = {  # OpenMoji's levels of red, green and blue; blue is light in circles and squares, dark in hearts
    (210, 47, 39): "red",
    (226, 112, 34): "orange",
    (252, 234, 43): "yellow",
    (177, 204, 51): "green",
    (92, 158, 49): "green",
    (146, 211, 245): "blue",
    (30, 80, 160): "blue",
    (137, 103, 170): "purple",
    (106, 70, 47): "brown",
    (63, 63, 63): "black",
    (255, 255, 255): "white",
    (255, 167, 192): "pink",
    (155, 155, 154): "grey",
}
PAPER = 190  # all three levels of the background are at least that; of every colour but white, one is lower
OVERLAP = 0.85  # least intersection over union with the ideal shape; the real drawings have 0.94 and more
LEAST_SIDE, MOST_STRETCH = 0.4, 1.25  # of the picture's side; of the longer side of the drawing to the shorter
MAJORITY = 0.85  # least share of the pixels inside that have the colour: a face or a clock has less, most of them
GRID = 48  # places a side at which shapes are compared


@dataclass(frozen=True)
class Seen:
    """The colour and the shape in a picture. None for a colour or shape that the oracle does not know."""

    colour: str | None
    shape: str | None


def unicode_name(colour: str, shape: str) -> str:
    """Return the caption that training uses. OpenMoji has black and white squares in several sizes.

    >>> unicode_name("red", "heart"), unicode_name("black", "square")
    ('red heart', 'black large square')
    """
    large = "large " if shape == "square" and colour in ("black", "white") else ""
    return f"{colour} {large}{shape}"


def look(images: np.ndarray) -> list[Seen]:
    """Return the colour and shape of each picture, uint8 (N, 3, S, S).

    Damage outside the drawing, such as specks, counts as a fault of the picture.
    """
    return [_look(image) for image in images]


def _look(image: np.ndarray) -> Seen:
    drawn = ~outside(image.min(0) >= PAPER)
    inside = _eroded(drawn, max(1, image.shape[-1] // 12))
    return Seen(_colour(image[:, inside]), _shape(drawn))


def outside(light: np.ndarray) -> np.ndarray:
    """Return the light places that are connected with the border by their sides: (S, S) bool -> (S, S) bool."""
    found = np.zeros(np.add(light.shape, 2), bool)
    found[[0, -1]] = found[:, [0, -1]] = True
    allowed = np.pad(light, 1, constant_values=True)
    while True:
        grown = allowed & np.logical_or.reduce([found, *_neighbours(found)])
        if np.array_equal(grown, found):
            return found[1:-1, 1:-1]
        found = grown


def _neighbours(mask: np.ndarray) -> list[np.ndarray]:
    """Return the mask shifted from above, below, left and right: 4 x (S, S), with False beyond the border."""
    padded = np.pad(mask, 1)
    return [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]


def _eroded(mask: np.ndarray, times: int) -> np.ndarray:
    """Return a drawing without `times` pixels of its rim. This removes the outline and the blend with the paper."""
    for _ in range(times):
        mask = np.logical_and.reduce([mask, *_neighbours(mask)])
    return mask


def _colour(pixels: np.ndarray) -> str | None:
    """Return the colour of the majority of the pixels (3, n), or None."""
    if not pixels.size:
        return None
    levels = np.array(list(PALETTE), float)
    nearest = np.square(pixels.T[:, None] - levels).sum(-1).argmin(1)
    names = np.array(list(PALETTE.values()))[nearest]
    shares = {name: float((names == name).mean()) for name in set(names.tolist())}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= MAJORITY and best in COLOURS else None


def _shape(drawn: np.ndarray) -> str | None:
    rows, columns = (np.flatnonzero(drawn.any(axis)) for axis in (1, 0))
    if not len(rows):
        return None
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    if min(height, width) < LEAST_SIDE * len(drawn) or max(height, width) > MOST_STRETCH * min(height, width):
        return None
    places = (np.arange(GRID) + 0.5) / GRID
    down, across = rows[0] + (places * height).astype(int), columns[0] + (places * width).astype(int)
    cut = drawn[np.ix_(down, across)]
    overlaps = {name: float((cut & ideal).sum() / (cut | ideal).sum()) for name, ideal in ideals().items()}
    best = max(overlaps, key=lambda name: overlaps[name])
    return best if overlaps[best] >= OVERLAP else None


def ideals() -> dict[str, np.ndarray]:
    """Return each shape as it fills its bounding box: (GRID, GRID) bool. A heart is two cones of discs with one tip."""
    y, x = np.mgrid[:GRID, :GRID] * (2 / GRID) - 1 + 1 / GRID
    return {"heart": _heart(x, y), "circle": x**2 + y**2 <= 1, "square": np.ones_like(x, bool)}


def _heart(x: np.ndarray, y: np.ndarray, lobe: float = 0.58) -> np.ndarray:
    shares = np.linspace(0, 1, 65).tolist()  # of the way from the middle of a lobe, its radius `lobe`, to the tip
    discs = [
        ((1 - t) * side * (1 - lobe), (1 - t) * (lobe - 1) + t, (1 - t) * lobe) for t in shares for side in (-1, 1)
    ]
    return np.logical_or.reduce([(x - a) ** 2 + (y - b) ** 2 <= radius**2 for a, b, radius in discs])
