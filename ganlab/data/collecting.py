"""Read a Dataset or a DataLoader of torch's into arrays: once, in its order. ganlab then draws its own batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ganlab.errors import UserError


class Collected(NamedTuple):
    """The content of a data set: images (N, ...) as stored, N labels or captions or None, the names of the classes."""

    images: Tensor
    condition: Any
    classes: tuple[str, ...]


def collected(source: Dataset | DataLoader) -> Collected:
    """Read every sample once. A sample is a picture, or a picture and its label or caption.

    A random transform is applied once, too. Raise `UserError` if the source has no end, or if samples differ in shape.
    """
    if not hasattr(source, "__len__"):
        raise UserError(f"`data` {type(source).__name__} must have a length: ganlab reads it once into memory")
    batched = isinstance(source, DataLoader)
    samples = list(_batches(source) if isinstance(source, DataLoader) else _singles(source))
    images = [_tensor(image) for image, _ in samples]
    if not images:
        raise UserError("`data` is empty")
    _check_shapes(images, start=1 if batched else 0)
    conditions = [condition for _, condition in samples if condition is not None]
    if conditions and len(conditions) != len(samples):
        raise UserError("`data` has labels for some pictures only")
    joined = torch.cat(images) if batched else torch.stack(images)
    flat = [one for part in conditions for one in _each(part)] if batched else [_single(one) for one in conditions]
    return Collected(joined, flat or None, _classes(source))


def _batches(loader: DataLoader) -> Iterator[tuple[Any, Any]]:
    """Yield batches of a loader, in the data set's order if it has one."""
    if hasattr(loader.dataset, "__getitem__") and loader.batch_size:
        loader = DataLoader(
            loader.dataset, loader.batch_size, collate_fn=loader.collate_fn, num_workers=loader.num_workers
        )
    return map(_pair, loader)


def _singles(dataset: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the samples of a data set by their numbers, or as it yields them."""
    numbered = hasattr(dataset, "__getitem__")
    samples: Iterable[Any] = (dataset[number] for number in range(len(dataset))) if numbered else dataset
    return map(_pair, samples)


def _pair(sample: Any) -> tuple[Any, Any]:
    """Return a sample's picture and its label or caption."""
    if isinstance(sample, dict):
        raise UserError(f"`data` must give pictures, or (picture, label), got a dict of {', '.join(map(str, sample))}")
    if isinstance(sample, tuple | list):
        return sample[0], sample[1] if len(sample) > 1 else None
    return sample, None


def _tensor(image: Any) -> Tensor:
    if isinstance(image, Tensor):
        return image
    if isinstance(image, Image.Image) and image.mode not in ("L", "RGB", "RGBA", "LA"):
        image = image.convert("RGB")
    array = np.array(image)
    if array.dtype == object:
        raise UserError(f"`data` must give pictures, or (picture, label), got a {type(image).__name__}")
    tensor = torch.from_numpy(array)
    return tensor.permute(2, 0, 1) if isinstance(image, Image.Image) and tensor.dim() == 3 else tensor


def _check_shapes(images: Sequence[Tensor], start: int) -> None:
    shapes = list(dict.fromkeys(tuple(image.shape[start:]) for image in images))
    if len(shapes) > 1:
        raise UserError(
            f"`data` must have pictures of one shape, got {shapes[0]} and {shapes[1]}: resize and crop them in its "
            "transform, or pass the folder's path"
        )


def _each(part: Any) -> list[Any]:
    return part.tolist() if isinstance(part, Tensor | np.ndarray) else list(part)


def _single(value: Any) -> Any:
    return value.tolist() if isinstance(value, Tensor | np.ndarray | np.generic) else value


def _classes(source: Any) -> tuple[str, ...]:
    names = getattr(getattr(source, "dataset", source), "classes", ())
    return tuple(map(str, names)) if isinstance(names, list | tuple) else ()
