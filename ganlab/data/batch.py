"""Batches of real images, generated images, and the conversion between uint8 and the range [-1, 1].

Plain torch. This module imports nothing of data sets, variants or Lightning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Union

import torch
from torch import Tensor

from ganlab.errors import UserError

Condition = Union[Tensor, "list[str]", None]
"""The generator's input beside the latent: classes (N,) int64, N captions, or images (N, C, H, W) in [-1, 1]."""


def send(values: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the CPU on `device`. A GPU is not waited for: the copy starts from page-locked memory."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 images in 0..255 to float32 in [-1, 1]. Anything else (points, classes) passes unchanged."""
    return images.float().mul_(2 / 255).sub_(1) if images.dtype == torch.uint8 else images


def at_least_float32(values: Tensor) -> Tensor:
    """Convert half precision to float32. float32 and float64 pass unchanged."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def shape_or_type(value: Any) -> str:
    """Return a tensor's shape, or the type of anything else, for a message.

    >>> shape_or_type(torch.zeros(2, 3)), shape_or_type(1.5), shape_or_type(None)
    ('(2, 3)', 'a float', 'None')
    """
    if isinstance(value, Tensor):
        return str(tuple(value.shape))
    return "None" if value is None else f"a {type(value).__name__}"


def one_a_sample(values: Any, what: str) -> Tensor:
    """Return the values (N,) that `what` made. Raise `UserError` for anything else.

    A sum of (N,) and (N, 1) is (N, N), whose mean is a plausible number.
    """
    if not isinstance(values, Tensor) or values.dim() != 1:
        raise UserError(f"{what} must be one number a sample, a tensor of shape (N,), got {shape_or_type(values)}")
    return values


def to_uint8(images: Tensor) -> Tensor:
    """Convert images in [-1, 1] to uint8 in 0..255, rounded to the nearest level (not truncated).

    >>> to_uint8(torch.tensor([-1.0, 0.0, 1.0])).tolist()
    [0, 128, 255]
    """
    return images.float().add(1).mul(127.5).round_().clamp_(0, 255).to(torch.uint8)


def take(condition: Condition, rows: Sequence[int] | slice | Tensor) -> Condition:
    """Return the chosen rows of a condition of any kind."""
    if condition is None:
        return None
    if isinstance(condition, Tensor):
        return condition[rows]  # type: ignore[index]
    if isinstance(rows, slice):
        return condition[rows]
    return [condition[int(row)] for row in rows]


def _ready(values: Tensor) -> Tensor:
    values = to_float(values)
    return values.to(torch.get_default_dtype()) if values.is_floating_point() else values


@dataclass  # not frozen: Lightning converts points to the run's precision by setting fields of a copy
class Batch:
    """Real images with their conditions.

    `images`: uint8 (N, C, H, W) before `ready`, then in [-1, 1]. Points are float32 (N, D) before `ready`.
    `condition`: images are uint8 before `ready` as well.
    `mismatched`: conditions of the same kind as `condition`. None of them fits the image of its row.
    `alone`: (N,) bool, whether the image of a row is the only one of the data with its condition; None if not known.
    """

    images: Tensor
    condition: Condition = None
    mismatched: Condition = None
    alone: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Return the batch on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory."""
        return self._map(Tensor.pin_memory)

    def ready(self) -> Batch:
        """Return the same batch with its images, and conditions that are images, in the networks' range, [-1, 1].

        They have torch's default dtype. During training this is the run's precision.
        """
        return self._map(_ready)

    def chunk(self, parts: int) -> list[Batch]:
        """Return `parts` equal, consecutive batches. Raise an error if the images do not divide evenly."""
        if parts == 1:
            return [self]
        if len(self) % parts:
            raise ValueError(f"a batch of {len(self)} images does not divide into {parts} equal parts")
        size = len(self) // parts
        return [self[slice(i * size, (i + 1) * size)] for i in range(parts)]

    def __getitem__(self, rows: slice) -> Batch:
        alone = None if self.alone is None else self.alone[rows]
        return Batch(self.images[rows], take(self.condition, rows), take(self.mismatched, rows), alone)

    def _map(self, move: Callable[[Tensor], Tensor]) -> Batch:
        condition, mismatched = (move(x) if isinstance(x, Tensor) else x for x in (self.condition, self.mismatched))
        return Batch(move(self.images), condition, mismatched, None if self.alone is None else move(self.alone))


@dataclass(frozen=True)
class Fake:
    """Generated images (N, *shape) in [-1, 1], and their latents (N, latent_dim)."""

    images: Tensor
    latent: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def detach(self) -> Fake:
        """Return the same images and latents without a graph."""
        return Fake(self.images.detach(), self.latent.detach())
