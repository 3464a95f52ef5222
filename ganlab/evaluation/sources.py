"""Sources of pictures that are measured: a generator, a data set, a folder. They are read batch by batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.console import say
from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Condition, take, to_uint8
from ganlab.data.decode import read_picture
from ganlab.data.files import find_pictures
from ganlab.data.pictures import Pictures, are_images
from ganlab.data.progress import progress
from ganlab.data.rows import many_rows, some_rows
from ganlab.errors import UserError
from ganlab.metrics.samples import Samples
from ganlab.processes import Share
from ganlab.sampling.drawing import on_device

BATCH = 250  # pictures generated, or taken from a data set, at once
READ_AHEAD = 64  # files decoded at once
WHOLE = Share()


class Source(ABC):
    """A source of at most `total` pictures, always the same in the same order, each with its label."""

    total: int

    @abstractmethod
    def batches(self) -> Iterator[tuple[Tensor, Sequence[Hashable]]]:
        """Yield pictures uint8 (N, C, H, W), all of one size, and N labels; no labels if they are unknown."""

    def samples(self) -> Iterator[Samples]:
        """Yield the batches with the index of each picture."""
        start = 0
        for images, labels in self.batches():
            yield Samples(images, torch.arange(start, start + len(images)), labels)
            start += len(images)

    def facts(self) -> Any:
        """Return plain values that identify these pictures."""
        hashed = sha256()
        for images, _ in self.batches():
            hashed.update(f"{tuple(images.shape[1:])}".encode() + images.numpy().tobytes())
        return hashed.hexdigest()


def labels_of(pictures: Pictures, rows: Tensor) -> list[str]:
    """Return each picture's key, else its class or caption. Empty if that is an image, or unknown."""
    condition: Condition = pictures.condition
    if pictures.keys is not None:
        return [str(pictures.keys[int(row)]) for row in rows]
    if condition is None or are_images(condition):
        return []
    chosen = take(condition, rows)
    return [str(one) for one in (chosen.tolist() if isinstance(chosen, Tensor) else chosen or [])]


class Stored(Source):
    """A source of some rows of a data set."""

    def __init__(self, pictures: Pictures, rows: np.ndarray) -> None:
        self.pictures, self.rows, self.total = pictures, rows, len(rows)

    def batches(self) -> Iterator[tuple[Tensor, Sequence[Hashable]]]:
        """Yield the pictures in batches of `BATCH`."""
        for rows in torch.split(torch.from_numpy(self.rows), BATCH):
            yield self.pictures.get(rows.numpy()), labels_of(self.pictures, rows)


class Generated(Source):
    """Samples of the averaged generator for the conditions of `pictures`; points stay as they are.

    `rows`: the pictures whose conditions are given, or how many samples, each picture equally often. Latents depend on
    the seed alone, so two measurements differ by the generator. `share`: the samples that this process draws.
    """

    def __init__(
        self, module: GenerativeModule, pictures: Pictures, rows: np.ndarray | int, seed: int, share: Share = WHOLE
    ) -> None:
        self.module, self.pictures, self.seed, self.share = module, pictures, seed, share
        self.rows = many_rows(len(pictures), rows, seed) if isinstance(rows, int) else rows
        self.total = len(self.rows)

    def batches(self) -> Iterator[tuple[Tensor, Sequence[Hashable]]]:
        """Draw samples in batches of `BATCH`. Pictures are uint8."""
        return ((samples.images, samples.labels) for samples in self.samples())

    def samples(self) -> Iterator[Samples]:
        """Draw the samples of the share in batches of `BATCH`, with the index of each among all."""
        noise = torch.Generator().manual_seed(self.seed)
        rows = torch.from_numpy(self.rows)
        for group in torch.split(torch.arange(len(rows)), BATCH * self.share.world):
            latent = torch.cat([self.module.draw_latent(len(part), noise) for part in torch.split(group, BATCH)])
            own = slice(self.share.rank, None, self.share.world)
            if len(group[own]):
                yield self._drawn(group[own], rows[group[own]], latent[own])

    def _drawn(self, places: Tensor, rows: Tensor, latent: Tensor) -> Samples:
        condition = on_device(take(self.pictures.condition, rows), self.module.device)
        images = self.module.sample(latent, condition)
        labels = labels_of(self.pictures, rows)
        return Samples(to_uint8(images) if images.dim() == 4 else images.float(), places, labels)


class Folder(Source):
    """At most `count` pictures under a folder, of any sizes and formats, always the same; broken ones are left out.

    If all pictures lie in subfolders, the label is the first subfolder. Files are decoded `READ_AHEAD` at a time, so
    memory does not grow with their number. Raise `UserError` if there are fewer than two pictures.
    """

    def __init__(self, root: Path, count: int, seed: int) -> None:
        found = find_pictures(root)
        if len(found) < 2:
            raise UserError(f"{root} has {len(found)} picture: at least 2 are needed")
        self.root, self.files = root, [found[row] for row in some_rows(len(found), count, seed)]
        self.total = len(self.files)
        self.nested = all("/" in file for file in found)
        self._said: set[str] = set()

    def batches(self) -> Iterator[tuple[Tensor, Sequence[Hashable]]]:
        """Yield one picture at a time."""
        with ThreadPoolExecutor() as pool:
            for file, image in progress(self._read(pool), self.total, f"looking at {self.root}:"):
                if image is not None:
                    yield image[None], [file.split("/")[0]] if self.nested else []

    def _read(self, pool: ThreadPoolExecutor) -> Iterator[tuple[str, Tensor | None]]:
        for start in range(0, self.total, READ_AHEAD):
            files = self.files[start : start + READ_AHEAD]
            yield from zip(files, pool.map(self._picture, files), strict=True)

    def _picture(self, file: str) -> Tensor | None:
        try:
            pixels = np.array(read_picture(self.root / file).convert("RGB"))
        except Exception as error:  # a broken file makes Pillow's plug-ins raise nearly anything
            if file not in self._said:
                say(f"ganlab: {self.root / file} is left out: {error}")
            self._said.add(file)
            return None
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def facts(self) -> str:
        """Return a hash of the files' content. Their names do not matter."""
        hashed = sha256()
        for file in self.files:
            hashed.update(sha256((self.root / file).read_bytes()).digest())
        return hashed.hexdigest()


def generated(module: GenerativeModule, pictures: Pictures, count: int, seed: int) -> Iterator[Tensor]:
    """Yield `count` samples in batches, uint8 (points: float32), for conditions of `pictures`."""
    return (images for images, _ in Generated(module, pictures, count, seed).batches())
