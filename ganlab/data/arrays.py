"""Pictures or points in arrays: in memory, or in a file that NumPy wrote. Whatever cannot be right is said in one line.

Pictures are uint8 in 0..255 or floats in [-1, 1], channels first or last. Points are floats (N, D).
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ganlab.config.ranges import ProperFraction, Seed, Workers
from ganlab.data.base import DataSpec, GanData
from ganlab.data.batch import Condition, to_uint8
from ganlab.data.pictures import Pictures
from ganlab.data.split import held_out_rows
from ganlab.data.splits import spec_of
from ganlab.errors import UserError

CHANNELS = range(1, 5)  # grey, grey with alpha, colour, colour with alpha
BESIDE = ("labels", "captions")
"""The names of the arrays in an .npz file that may be beside `images`."""


class ArrayData(GanData):
    """The pictures or points of an array, with labels or captions if there are any.

    Args:
        images: An array or tensor, or a file: .npy, or .npz with `images` and, if there are any, `labels` or
            `captions`. Pictures are (N, H, W, C), (N, C, H, W) or (N, H, W), uint8 or floats in [-1, 1], which are kept
            as uint8. Points are (N, D).
        condition: N labels (whole numbers from 0) or N captions (text); None for neither.
        classes: The names of the classes; "0", "1", ... if it is empty.
        held_out: The fraction that is kept for reference.
        flip: Whether to mirror pictures at random.
    """

    kinds: ClassVar[tuple[str, ...]] = ("none", "class", "text")

    def __init__(
        self,
        images: Any = None,
        condition: Any = None,
        classes: Sequence[str] = (),
        held_out: ProperFraction = 0.1,
        flip: bool = False,
        workers: Workers = 0,
        seed: Seed = 0,
    ) -> None:
        super().__init__(workers, seed)
        if images is None:
            raise UserError(
                "`data.images` is needed: this run's pictures were an array in memory; save them by "
                "numpy.savez('pictures.npz', images=...) and pass data.images=pictures.npz"
            )
        self.images, self.condition, self.classes = images, condition, tuple(classes)
        self.held_out, self.flip = held_out, flip

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        images, beside = read_file(self.images) if isinstance(self.images, str | Path) else (self.images, None)
        images = as_images(images)
        condition = as_condition(beside if self.condition is None else self.condition, len(images))
        classes = _classes(condition, self.classes)
        held = held_out_rows([str(row) for row in range(len(images))], self.held_out)
        rows, others = np.flatnonzero(~held), np.flatnonzero(held)
        train = _part(images, condition, rows, self.flip)
        reference = _part(images, condition, others, False) if len(others) else train
        return train, reference, spec_of(train, classes)


def _part(images: Tensor, condition: Condition, rows: np.ndarray, flip: bool) -> Pictures:
    index = torch.from_numpy(rows)
    own = [condition[row] for row in rows] if isinstance(condition, list) else condition
    return Pictures(images[index], own[index] if isinstance(own, Tensor) else own, flip=flip and images.dim() == 4)


def read_file(path: str | Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the images of an .npy or .npz file, and its labels or captions. Raise `UserError` if it has no images."""
    path = Path(path).expanduser()
    try:
        found = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"`data.images` must be an .npy or .npz file of NumPy's, got {path}: {error}") from error
    if isinstance(found, np.ndarray):
        return found, None
    with found:
        if "images" not in found.files:
            raise UserError(f"`data.images` {path} has no array `images`: it has {', '.join(found.files) or 'nothing'}")
        beside = [found[name] for name in BESIDE if name in found.files]
        return found["images"], beside[0] if beside else None


# Images -----------------------------------------------------------------------------------------------------------


def as_images(values: Any) -> Tensor:
    """Return pictures as uint8 (N, C, H, W), or points as float32 (N, D). Raise `UserError` if they are neither.

    >>> as_images(np.zeros((5, 28, 28, 3), np.uint8)).shape
    torch.Size([5, 3, 28, 28])
    """
    first = isinstance(values, Tensor)
    images = values.detach().cpu() if isinstance(values, Tensor) else _tensor(values)
    if images.dtype.is_complex or images.dtype == torch.bool:
        raise UserError(f"`data` must be whole numbers or floats, got {_dtype(images)}")
    if images.dim() == 2:
        return _finite(images.float(), "points").contiguous()
    if images.dim() not in (3, 4):
        raise UserError(
            "`data` must be pictures (N, H, W, C), (N, C, H, W) or (N, H, W), or points (N, D), got an array of shape "
            f"{tuple(images.shape)}"
        )
    images = images[:, None] if images.dim() == 3 else _channels_first(images, first)
    return _levels(images).contiguous()


def _tensor(values: Any) -> Tensor:
    try:
        array = np.asarray(values)
        return torch.from_numpy(array if array.flags.writeable else array.copy())
    except (TypeError, ValueError) as error:
        raise UserError(f"`data` must be an array of numbers, got a {type(values).__name__}: {error}") from error


def _channels_first(images: Tensor, prefer_first: bool) -> Tensor:
    """Return (N, C, H, W). If both readings are possible, a tensor has its channels first and an array last."""
    first, last = images.shape[1] in CHANNELS, images.shape[3] in CHANNELS
    if not (first or last):
        raise UserError(
            f"`data` must have 1 to 4 channels, first or last, got pictures of shape {tuple(images.shape[1:])}"
        )
    return images if first and (prefer_first or not last) else images.permute(0, 3, 1, 2)


def _levels(images: Tensor) -> Tensor:
    """Return pictures as uint8. Raise `UserError` for another dtype, or for floats that are not in [-1, 1]."""
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise UserError(f"`data` must be uint8 in 0..255 or floats in [-1, 1], got {_dtype(images)}: convert to uint8")
    if not len(images):
        return to_uint8(images)
    low, high = (float(value) for value in _finite(images, "pictures").aminmax())
    if low < -1.001 or high > 1.001:
        remedy = "convert to uint8" if low >= 0 and high <= 255 else "scale them"
        raise UserError(f"`data` must have floats in [-1, 1], got values from {low:.4g} to {high:.4g}: {remedy}")
    if low >= 0 and high > 0:
        raise UserError(
            f"`data` must have floats in [-1, 1], got values from {low:.4g} to {high:.4g}: pass 2 * images - 1 "
            "(transforms.Normalize(0.5, 0.5) after ToTensor)"
        )
    return to_uint8(images)


def _finite(values: Tensor, what: str) -> Tensor:
    bad = (~values.isfinite()).flatten(1).any(1)
    if bad.any():
        raise UserError(
            f"`data` has NaN or infinite values in {int(bad.sum())} of {len(values)} {what}, first in number "
            f"{int(bad.nonzero()[0])}"
        )
    return values


def _dtype(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")


# Conditions -------------------------------------------------------------------------------------------------------


def as_condition(values: Any, count: int) -> Condition:
    """Return `count` labels (count,) int64, or captions; None for None. Raise `UserError` if they are neither."""
    if values is None:
        return None
    if len(values) != count:
        raise UserError(f"`data` has {count} pictures but {len(values)} labels or captions")
    if all(isinstance(value, str) for value in values):
        return [str(value) for value in values]
    labels = torch.as_tensor(values) if isinstance(values, Tensor) else _tensor(values)
    if labels.dim() != 1 or labels.is_floating_point() or labels.dtype == torch.bool or int(labels.min()) < 0:
        least = f", the least {float(labels.min()):g}" if labels.numel() else ""
        raise UserError(
            "`data` must have labels that are whole numbers of at least 0, one a picture, or captions, got "
            f"{_dtype(labels)} of shape {tuple(labels.shape)}{least}"
        )
    return labels.long().cpu()


def _classes(condition: Condition, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the classes: those given, else their numbers."""
    if not isinstance(condition, Tensor):
        return ()
    count = int(condition.max()) + 1
    if names and len(names) < count:
        raise UserError(f"`data.classes` names {len(names)} classes, and labels go up to {count - 1}")
    return tuple(map(str, names)) or tuple(map(str, range(count)))
