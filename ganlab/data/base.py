"""The base class of data modules: a training set, a held-out reference set, and a description of both.

A subclass makes two `Pictures` in `load`. This file turns them into an endless, resumable stream of batches.
"""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from ganlab.config.ranges import Seed, Workers
from ganlab.data.batch import Batch
from ganlab.data.pictures import Pictures
from ganlab.data.stream import Stream
from ganlab.errors import UserError


@dataclass(frozen=True)
class DataSpec:
    """The description of a data set that a model needs, in plain values.

    A checkpoint carries it, so sampling needs no data. `kind` of condition: "none", "class", "text" or "image".
    `vocabulary`, `captions`: the words of the training captions, most frequent first, and the pictures' first captions.
    `shared`: other captions that several pictures have, each with the places in `captions` of those pictures' first
    ones. `prompts`: a few conditions (class names or captions) to show by default.
    """

    shape: tuple[int, ...]
    kind: str = "none"
    classes: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    shared: dict[str, list[int]] = field(default_factory=dict)
    prompts: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the fields as plain values, tuples as lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def unconditional(self) -> DataSpec:
        """Return the same description without a condition, for an unconditional model."""
        return replace(self, kind="none")

    def check_kind(self, reads: str) -> None:
        """Raise `UserError` unless the data's condition is of the kind that the model reads."""
        if self.kind != reads:
            raise wrong_kind(reads, repr(self.kind))

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> DataSpec:
        """Return the spec that these values, made by `plain`, describe."""
        fixed: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**fixed)


def wrong_kind(reads: str, has: str) -> UserError:
    """Return the error for a model that reads one kind of condition and data that have another."""
    words = {
        "text": "`condition` reads captions (text)",
        "class": "`condition` reads classes",
        "image": "`variant` reads pictures (data=lines or data=pairs)",
    }
    return UserError(
        f"{words[reads]}, and the data's condition is {has}: use condition=words for captions, condition=classes "
        "for classes (with data.wordings=0 if the data have both), or recipe=vanilla (recipe=few_shot for few "
        "pictures) where there are neither"
    )


@dataclass(frozen=True)
class Modes:
    """Known modes of a toy density: `centers` (K, D) and the standard deviation around each, in data units."""

    centers: torch.Tensor
    sigma: float = field(default=1.0)


def leave_signals(worker: int = 0) -> None:
    """Ignore, in a data worker, the signals that a terminal or a scheduler sends to all processes of a run.

    The training process decides how to react. A worker ends by itself within seconds of that process.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


class GanData(pl.LightningDataModule, ABC):
    """A source of real pictures. After `setup` it has `train`, `reference` (held out) and `spec`.

    `reals_per_iteration` is the number of pictures that one process takes from the stream in one iteration: the batch
    size times the discriminator's turns. It is set once, before training.
    """

    kinds: ClassVar[tuple[str, ...]] = ("none", "class", "text", "image")
    """The kinds of condition that the data may have. They are known before anything is loaded."""
    train: Pictures
    reference: Pictures
    spec: DataSpec

    def __init__(self, workers: Workers = 0, seed: Seed = 0) -> None:
        super().__init__()
        self.workers = workers
        self.seed = seed
        self.reals_per_iteration = 64
        self._ready = False

    @abstractmethod
    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description.

        It is called once in each process. It may use the disk's cache.
        """

    @property
    def modes(self) -> Modes | None:
        """Return the density's modes if they are known (toy data), else None."""
        return None

    @property
    def digits(self) -> int:
        """Return the number of digits in a picture, one a channel, which spell its mode (stacked_mnist); else 0."""
        return 0

    @property
    def checkable(self) -> dict[str, Pictures]:
        """Return the splits, by name, whose captions an oracle can check (`ganlab.metrics.caption_accuracy`)."""
        return {}

    @property
    def preparation(self) -> str:
        """Return how pictures of other sizes become this data's, in words; empty if they have its size."""
        return ""

    def setup(self, stage: str | None = None) -> None:
        """Load the data once. Raise `UserError` if there are fewer than two training pictures."""
        if self._ready:
            return
        self.train, self.reference, self.spec = self.load()
        self._ready = True
        if len(self.train) < 2:
            raise UserError(f"`data` has {len(self.train)} training pictures: at least 2 are needed")

    def train_dataloader(self) -> Iterable[Batch]:
        """Return the endless stream of batches, starting at the trainer's iteration and the pictures seen before it."""
        trainer = self.trainer
        start, rank, world = (trainer.global_step, trainer.global_rank, trainer.world_size) if trainer else (0, 0, 1)
        seen = getattr(trainer.lightning_module, "images_seen", None) if trainer else None
        stream = Stream(self.train, self.reals_per_iteration, self.seed, start, rank, world, seen)
        if not self.workers and not torch.cuda.is_available():
            return stream
        return DataLoader(
            stream,
            batch_size=None,
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.workers > 0,
            worker_init_fn=leave_signals,
        )

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return the batch on the device. A GPU is not waited for: the loader has put it in page-locked memory."""
        return batch.to(device, non_blocking=device.type == "cuda")
