"""Training data as a user gives them: arrays, torch's data sets and loaders, folders, names of a recipe's data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset

from ganlab.config.catalog import catalog
from ganlab.config.recipe import literal
from ganlab.data.arrays import as_condition, as_images
from ganlab.data.collecting import collected
from ganlab.errors import UserError


@dataclass(frozen=True)
class Source:
    """Training data in a recipe: its words, and settings of the data module that are objects.

    The `kind` of condition chooses the recipe. `batch_size`: that of a loader.
    """

    words: Sequence[str] = ()
    objects: dict[str, Any] = field(default_factory=dict)
    kind: str = "none"
    batch_size: int | None = None


def source_of(data: Any) -> Source:
    """Return the source that a user's data are. Raise `UserError` if they are wrong."""
    if isinstance(data, str | Path):
        return _named(data)
    if isinstance(data, DataLoader | Dataset):
        found = collected(data)
        size = data.batch_size if isinstance(data, DataLoader) else None
        return _array(found.images, found.condition, found.classes, size)
    images, condition = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
    return _array(images, condition)


def _array(images: Any, condition: Any, classes: Sequence[str] = (), batch_size: int | None = None) -> Source:
    images = as_images(images)
    condition = as_condition(condition, len(images))
    kind = "text" if isinstance(condition, list) else "none" if condition is None else "class"
    objects = {"images": images, "condition": condition, "classes": list(classes)}
    name = "points" if images.dim() == 2 else "arrays"
    return Source((f"data={name}", "data.images=memory"), objects, kind, batch_size)


def _named(data: str | Path) -> Source:
    """Return the source of a data set's name, a folder, or a file of arrays."""
    names = catalog().groups()["data"]
    if data in names:
        return Source((f"data={data}",))
    path = Path(data).expanduser()
    if path.suffix in (".npz", ".npy"):
        return Source(("data=arrays", literal("data.images", path)))
    if path.is_dir():
        return Source(("data=folder", literal("data.root", path)))
    raise UserError(f"`data` {data} is neither a folder, a file .npz, nor the name of a data set: {', '.join(names)}")
