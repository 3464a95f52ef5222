"""Draw pictures of scenes, many at a time: the positions of things, and their coverage of each pixel.

Lengths are shares of the picture's side, so a scene of one seed looks the same at any size. y points down. Plain numpy.
This module does not use captions, files or training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ganlab.data.scenes import COLOURS, SHAPES, SIZES, Scene

BACKGROUND = (255, 255, 255)
DIAMETER = {"small": 8.5 / 32, "large": 12 / 32}  # of a circle: at 32 pixels corners still tell shapes apart
WIDTH = {"circle": 1.0, "square": 0.9, "triangle": 1.15}  # and height, times the diameter
JITTER = 0.05  # of the diameter, in both directions: far less than the difference between small and large
MARGIN = 0.5 / 32
GAP = 1.5 / 32  # between two things, at least
SIDEWAYS = 2.5 / 32  # the largest distance of each of two things from their common line
CHUNK = 512  # pictures drawn at the same time


@dataclass(frozen=True)
class Layout:
    """N pictures of up to K things: `shape`, `colour` (N, K) indices, `diameter` (N, K), `center` (N, K, 2) as x, y.

    Centers are those of bounding boxes. An absent thing has diameter 0.
    """

    shape: np.ndarray
    colour: np.ndarray
    diameter: np.ndarray
    center: np.ndarray

    def __getitem__(self, rows: slice) -> Layout:
        return Layout(self.shape[rows], self.colour[rows], self.diameter[rows], self.center[rows])

    def __len__(self) -> int:
        return len(self.shape)


def coverage(shape: np.ndarray, diameter: np.ndarray, center: np.ndarray, side: int, fine: int = 2) -> np.ndarray:
    """Return the share of each pixel inside a shape.

    `shape`, `diameter` (M,), `center` (M, 2) -> (M, side, side) in [0, 1]. It is computed from signed distances at
    `fine` x `fine` points in each pixel. Each distance is blurred over the point's own width.
    """
    places = (np.arange(side * fine, dtype=np.float32) + 0.5) / (side * fine)
    x = places[None, None, :] - center[:, 0, None, None].astype(np.float32)
    y = places[None, :, None] - center[:, 1, None, None].astype(np.float32)
    covered = np.empty((len(shape), side * fine, side * fine), np.float32)
    for index, name in enumerate(SHAPES):
        chosen = shape == index
        size = diameter[chosen, None, None].astype(np.float32)
        covered[chosen] = 0.5 - DISTANCES[name](x[chosen], y[chosen], size) * (side * fine)
    np.clip(covered, 0, 1, out=covered)
    return covered.reshape(len(shape), side, fine, side, fine).mean((2, 4))


def _circle(x: np.ndarray, y: np.ndarray, diameter: np.ndarray) -> np.ndarray:
    return np.sqrt(x * x + y * y) - diameter / 2


def _square(x: np.ndarray, y: np.ndarray, diameter: np.ndarray) -> np.ndarray:
    return np.maximum(abs(x), abs(y)) - diameter * WIDTH["square"] / 2


def _triangle(x: np.ndarray, y: np.ndarray, diameter: np.ndarray) -> np.ndarray:
    """Return the signed distance to a triangle of equal width and height, apex up.

    The two long sides have the unit normal (2, -1) / sqrt(5).
    """
    half = diameter * WIDTH["triangle"] / 2
    return np.maximum((2 * abs(x) - y - half) / 5**0.5, y - half)


DISTANCES = {"circle": _circle, "square": _square, "triangle": _triangle}


def lay_out(scenes: list[Scene], random: np.random.Generator) -> Layout:
    """Return random sizes and places that fit the scenes: things stay apart, inside, and clearly in their relation."""
    shape, colour = np.zeros((2, len(scenes), 2), np.int64)
    diameter = np.zeros((len(scenes), 2))
    for i, scene in enumerate(scenes):
        for k, thing in enumerate(scene.things):
            shape[i, k] = SHAPES.index(thing.shape)
            colour[i, k] = list(COLOURS).index(thing.colour)
            diameter[i, k] = DIAMETER[thing.size]
    diameter = diameter * random.uniform(1 - JITTER, 1 + JITTER, diameter.shape)
    extent = diameter * np.array([WIDTH[name] for name in SHAPES])[shape]
    return Layout(shape, colour, diameter, _centers(scenes, extent, random))


def _centers(scenes: list[Scene], extent: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return centers: along the relation's axis anywhere that leaves the gap, across it near a common line."""
    line = random.uniform(0.35, 0.65, (len(scenes), 1))
    across = line + random.uniform(-SIDEWAYS, SIDEWAYS, (len(scenes), 2))
    along = _apart(extent, random)
    alone = np.array([scene.relation is None for scene in scenes])
    along[alone, 0] = random.uniform(0.3, 0.7, alone.sum())
    swap = np.array([scene.relation in ("below", "right of") for scene in scenes])
    along[swap] = 1 - along[swap]
    upright = np.array([scene.relation in ("above", "below", None) for scene in scenes])
    center = np.where(upright[:, None, None], np.stack([across, along], 2), np.stack([along, across], 2))
    low = (MARGIN + extent / 2)[:, :, None]
    return np.clip(center, low, 1 - low)


def _apart(extent: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return centers (N, 2) on a line: the first before the second, by at least the gap.

    The free length is split at random.
    """
    free = np.maximum(1 - 2 * MARGIN - GAP - extent.sum(1), 0)
    before, after = np.sort(random.uniform(0, 1, (len(extent), 2)), axis=1).T * free
    first = MARGIN + before + extent[:, 0] / 2
    second = MARGIN + after + extent[:, 0] + GAP + extent[:, 1] / 2
    return np.stack([first, second], axis=1)


def draw(layout: Layout, side: int) -> np.ndarray:
    """Return the layouts' pictures, uint8 (N, 3, side, side)."""
    chunks = [_draw(layout[start : start + CHUNK], side) for start in range(0, len(layout), CHUNK)]
    return np.concatenate(chunks) if chunks else np.zeros((0, 3, side, side), np.uint8)


def _draw(layout: Layout, side: int) -> np.ndarray:
    palette = np.array(list(COLOURS.values()), np.float32)
    picture = np.broadcast_to(
        np.array(BACKGROUND, np.float32)[None, :, None, None], (len(layout), 3, side, side)
    ).copy()
    for k in range(layout.shape.shape[1]):
        there = layout.diameter[:, k] > 0
        cover = coverage(layout.shape[there, k], layout.diameter[there, k], layout.center[there, k], side)[:, None]
        paint = palette[layout.colour[there, k]][:, :, None, None]
        picture[there] += cover * (paint - picture[there])
    return np.rint(picture).astype(np.uint8)


FACTS = [COLOURS, SHAPES, SIZES, BACKGROUND, DIAMETER, WIDTH, JITTER, MARGIN, GAP, SIDEWAYS]
"""All constants that a drawing depends on, besides scenes, seed and size. Cached pictures carry them in their name."""
