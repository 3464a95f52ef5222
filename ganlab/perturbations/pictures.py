"""Differentiable image operations with one given parameter for each sample. Only the draws are random.

Pictures are (N, C, H, W) in [-1, 1], so 0 is the middle grey. Parameters are (N,). All operations consist of sums,
products and indexing, which are differentiable any number of times. `grid_sample` is differentiable only once, which is
not enough for a gradient penalty. A sample with 3k channels is a pack of k pictures, and all of them get the same
parameter.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Draws: (N,), on the pictures' device -------------------------------------------------------------------------------


def uniform(images: Tensor, low: float, high: float) -> Tensor:
    """Draw from U[low, high)."""
    return torch.empty(len(images), device=images.device, dtype=images.dtype).uniform_(low, high)


def whole(images: Tensor, low: int, high: int) -> Tensor:
    """Draw from the whole numbers low, ..., high."""
    return torch.randint(low, high + 1, (len(images),), device=images.device)


def normal(images: Tensor, deviation: float) -> Tensor:
    """Draw from N(0, deviation^2)."""
    return deviation * torch.randn(len(images), device=images.device, dtype=images.dtype)


# Colors -------------------------------------------------------------------------------------------------------------


def over(numbers: Tensor, dims: int) -> Tensor:
    """Reshape numbers (N,) to (N, 1, ..., 1) with `dims` dimensions."""
    return numbers.view(-1, *[1] * (dims - 1))


def brighten(images: Tensor, by: Tensor) -> Tensor:
    """Return x + by."""
    return images + over(by, 4)


def stretch(images: Tensor, factor: Tensor) -> Tensor:
    """Return factor x: contrast about the middle grey."""
    return images * over(factor, 4)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Return mean + factor (x - mean): contrast about the mean of each picture."""
    apart = _one_by_one(images)
    return torch.lerp(apart.mean((2, 3, 4), keepdim=True), apart, over(factor, 5)).flatten(1, 2)


def saturate(images: Tensor, factor: Tensor) -> Tensor:
    """Return grey + factor (x - grey). grey is the mean of a pixel over its channels. One channel stays unchanged."""
    apart = _one_by_one(images)
    return torch.lerp(apart.mean(2, keepdim=True), apart, over(factor, 5)).flatten(1, 2)


def _one_by_one(images: Tensor) -> Tensor:
    """Reshape (N, 3k, H, W) to (N, k, 3, H, W), or (N, C, H, W) to (N, 1, C, H, W) if C is no multiple of 3."""
    return images.unflatten(1, (-1, 3) if images.shape[1] % 3 == 0 else (1, -1))


# Places -------------------------------------------------------------------------------------------------------------


def mirror(images: Tensor, chosen: Tensor) -> Tensor:
    """Exchange left and right in the images for which `chosen` is true."""
    return torch.where(over(chosen, 4), images.flip(3), images)


def turn(images: Tensor, quarters: Tensor) -> Tensor:
    """Rotate by 0 to 3 quarter turns, counterclockwise. Pictures must be square."""
    turned = torch.stack([torch.rot90(images, k, (2, 3)) for k in range(4)])
    return turned[quarters, torch.arange(len(images), device=images.device)]


def shift(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Shift by whole pixels. Uncovered pixels become middle grey."""
    rows, columns = _sources(images, down, right)
    inside = _within(rows)[:, :, None] & _within(columns)[:, None, :]
    return _read(images, _at_the_edge(rows), _at_the_edge(columns)) * inside[:, None]


def shift_mirrored(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Shift by whole pixels. Uncovered pixels come from the mirror image, in which the edge pixel is not repeated."""
    rows, columns = _sources(images, down, right)
    return _read(images, bounce(rows, images.shape[2]), bounce(columns, images.shape[3]))


def zoom(images: Tensor, factor: Tensor) -> Tensor:
    """Scale about the center, size kept: bilinear between pixels, mirrored beyond the edge, no low-pass filter."""
    rows, columns = (_hats(factor, size)[:, None] for size in images.shape[2:])
    return rows @ images @ columns.mT


def erase(images: Tensor, top: Tensor, left: Tensor, height: float, width: float) -> Tensor:
    """Set rows top <= i < top + height and columns left <= j < left + width to middle grey. Limits may be fractions."""
    rows, columns = (torch.arange(size, device=images.device) for size in images.shape[2:])
    tall = (rows >= top[:, None]) & (rows < top[:, None] + height)
    wide = (columns >= left[:, None]) & (columns < left[:, None] + width)
    return images * ~(tall[:, :, None] & wide[:, None, :])[:, None]


def bounce(places: Tensor, size: int) -> Tensor:
    """Map positions to 0..size - 1 on a line mirrored at its first and last pixel: -1 -> 1 and size -> size - 2."""
    period = max(2 * (size - 1), 1)
    folded = places.remainder(period)
    return torch.minimum(folded, period - folded) if size > 1 else torch.zeros_like(places)


def _sources(images: Tensor, down: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return the source row (N, H) and column (N, W) of each pixel of a shifted picture. They may lie outside."""
    rows, columns = (torch.arange(size, device=images.device) for size in images.shape[2:])
    return rows - down[:, None], columns - right[:, None]


def _within(places: Tensor) -> Tensor:
    return (places >= 0) & (places < places.shape[1])


def _at_the_edge(places: Tensor) -> Tensor:
    return places.clamp(0, places.shape[1] - 1)


def _read(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return images[n, :, rows[n, i], columns[n, j]] for all n, i and j."""
    samples = torch.arange(len(images), device=images.device)[:, None, None]
    return images[samples, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _hats(factor: Tensor, size: int) -> Tensor:
    """Return (N, size, size): row i weights the pixels around (i - middle) / factor + middle by 1 - distance."""
    pixels = torch.arange(size, device=factor.device, dtype=factor.dtype)
    middle = (size - 1) / 2
    sources = bounce((pixels - middle) / factor[:, None] + middle, size)
    return (1 - (sources[:, :, None] - pixels).abs()).clamp_min(0)
