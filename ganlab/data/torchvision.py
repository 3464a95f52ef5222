"""The small classic data sets with classes, through torchvision: read from a folder, or downloaded once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from filelock import FileLock
from torch import Tensor
from torch.nn import functional

from ganlab.config.ranges import Seed, Side, Workers
from ganlab.data.base import DataSpec, GanData
from ganlab.data.cache import cache_folder
from ganlab.data.checks import check_size
from ganlab.data.pictures import Pictures
from ganlab.errors import UserError

DIGITS = tuple("0123456789")
FAILURES = (RuntimeError, OSError, ImportError, ValueError, AssertionError)  # no file, no network, half a file
STEP = 1000  # images resized at a time, which bounds the memory for floats


def _grey(found: Any) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(found.data)[:, None], torch.as_tensor(found.targets)


def _channels_last(found: Any) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(found.data).permute(0, 3, 1, 2), torch.as_tensor(found.targets)


def _channels_first(found: Any) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(found.data), torch.as_tensor(found.labels)


@dataclass(frozen=True)
class Layout:
    """The form of one data set in torchvision: its arrays, its splits, its classes.

    `read(dataset)` gives uint8 images (N, C, H, W) and classes (N,). `classes`: empty if torchvision knows them.
    """

    read: Callable[[Any], tuple[Tensor, Tensor]]
    train: Mapping[str, Any]
    reference: Mapping[str, Any]
    classes: tuple[str, ...] = ()


FLAG = ({"train": True}, {"train": False})
WORD = ({"split": "train"}, {"split": "test"})
SOURCES = {
    "MNIST": Layout(_grey, *FLAG, DIGITS),
    "FashionMNIST": Layout(_grey, *FLAG),
    "KMNIST": Layout(_grey, *FLAG),
    "CIFAR10": Layout(_channels_last, *FLAG),
    "CIFAR100": Layout(_channels_last, *FLAG),
    "SVHN": Layout(_channels_first, *WORD, DIGITS),
    "STL10": Layout(_channels_first, *WORD),
}


def resized(images: Tensor, size: int) -> Tensor:
    """Resize uint8 (N, C, H, W) to (N, C, size, size).

    Images of 28 pixels first get a border of two if `size` is a multiple of 32. Digits have an empty border already.
    """
    if images.shape[-1] == 28 and size % 32 == 0:
        images = functional.pad(images, (2, 2, 2, 2))
    if images.shape[-1] == size:
        return images.contiguous()
    return torch.cat([_resize(part, size) for part in torch.split(images, STEP)])


def _resize(images: Tensor, size: int) -> Tensor:
    floats = functional.interpolate(images.float(), (size, size), mode="bicubic", antialias=True, align_corners=False)
    return floats.round_().clamp_(0, 255).to(torch.uint8)


class TorchvisionData(GanData):
    """A set of `torchvision.datasets` by its name there (MNIST, CIFAR10, ...), its test split as the reference.

    `root`: torchvision's root folder; nothing is downloaded if it holds the files. Defaults to the cache.
    `download`: whether missing files may be fetched. `balanced`: draw each class equally often.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class",)

    def __init__(
        self,
        dataset: str,
        root: str | Path | None = None,
        size: Side = 32,
        flip: bool = False,
        workers: Workers = 0,
        seed: Seed = 0,
        download: bool = True,
        balanced: bool = False,
    ) -> None:
        super().__init__(workers, seed)
        check_size(size)
        if dataset not in SOURCES:
            raise UserError(f"`dataset` must be one of {', '.join(SOURCES)}, got {dataset!r}")
        self.dataset, self.size, self.flip, self.download = dataset, size, flip, download
        self.balanced = balanced
        self.root = Path(root).expanduser() if root else cache_folder() / "torchvision"

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        source = SOURCES[self.dataset]
        train, reference = self._open(source.train), self._open(source.reference)
        pictures = self._pictures(source, train, self.flip, self.balanced)
        classes = source.classes or tuple(train.classes)
        return (
            pictures,
            self._pictures(source, reference),
            DataSpec(pictures.shape, "class", classes, prompts=classes),
        )

    def _pictures(self, source: Layout, found: Any, flip: bool = False, balanced: bool = False) -> Pictures:
        images, labels = source.read(found)
        return Pictures(resized(images, self.size), labels.long(), flip=flip, balanced=balanced)

    def _open(self, split: Mapping[str, Any]) -> Any:
        """Return the set as torchvision reads it. One process downloads, the others wait for it."""
        from torchvision import datasets  # takes a second to import: only if needed

        kind = getattr(datasets, self.dataset)
        try:
            return kind(self.root, download=False, **split)
        except FAILURES as error:
            if not self.download:
                raise UserError(
                    f"`root` has no {self.dataset} ({self.root}), and a checkpoint's recipe fetches nothing by itself: "
                    "pass allow=[hub]"
                ) from error
            return self._download(kind, split)

    def _download(self, kind: Any, split: Mapping[str, Any]) -> Any:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / f"{self.dataset}.lock"):
                return kind(self.root, download=True, **split)
        except FAILURES as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(
                f"`root` has no {self.dataset} ({self.root}) and it could not be downloaded ({reason}): "
                "pass data.root=FOLDER with torchvision's files, or connect to the internet"
            ) from error
