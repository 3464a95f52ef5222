"""Any folder of pictures: with captions if it has some, else with classes, else unconditional.

This module joins files.py, which finds and decodes pictures, captions.py, which reads captions, and manifest.py, which
reads the classes of a table. Without a table, subfolders are classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from pytorch_lightning.utilities import rank_zero_warn

from ganlab.config.ranges import Channels, PositiveInt, ProperFraction, Seed, Side, Workers
from ganlab.data.base import DataSpec, GanData
from ganlab.data.captions import read_captions
from ganlab.data.checks import check_channels, check_fraction, check_root, check_size
from ganlab.data.decode import Form, preparation
from ganlab.data.files import Split, decode_all, find_pictures
from ganlab.data.manifest import Manifest, read_manifest
from ganlab.data.pictures import Pictures
from ganlab.data.walk import some

PROMPTS = 12  # captions shown by default: one grid


def class_names(split: Split, files: Sequence[str]) -> tuple[str, ...]:
    """Return the sorted subfolders with pictures. Empty if some pictures are outside, or all are in one subfolder."""
    names = {split.label(file) for file in files}
    if "" in names and len(names) > 2:
        loose = [file for file in files if not split.label(file)]
        rank_zero_warn(f"subfolders are not taken as classes: {len(loose)} pictures lie in none: {some(loose)}")
    return tuple(sorted(names)) if len(names) > 1 and "" not in names else ()


class FolderData(GanData):
    """The pictures under `root`, at `size` x `size`, with captions, classes or neither.

    Classes are the `label` column of a `metadata.jsonl`, or two subfolders or more.

    `crop`: cut the middle square out, else squeeze. `channels`: 3, or 1 for grey. `held_out`: the fraction kept for
    reference, unless the pictures are in `train/` and `test/`. `flip`: mirror at random. `wordings`: the largest number
    of captions of a picture that are used, of which a batch draws one. 1: the first one only.
    """

    kinds: ClassVar[tuple[str, ...]] = ("none", "class", "text")

    def __init__(
        self,
        root: str | Path,
        size: Side = 64,
        crop: bool = True,
        channels: Channels = 3,
        held_out: ProperFraction = 0.1,
        flip: bool = False,
        wordings: PositiveInt = 64,
        workers: Workers = 0,
        seed: Seed = 0,
    ) -> None:
        super().__init__(workers, seed)
        check_size(size)
        check_channels(channels)
        check_fraction(held_out)
        self.root, self.form = check_root(root), Form(size, crop, channels)
        self.held_out, self.flip, self.wordings = held_out, flip, wordings

    @property
    def preparation(self) -> str:
        """Return in words how pictures are cut and resized."""
        return preparation(self.form)

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        manifest = read_manifest(self.root, find_pictures(self.root))
        found = manifest.files
        captions = read_captions(self.root, found) if manifest.captioned else {}
        split = Split(found, self.held_out)
        wanted = split.order([file for file in found if file in captions or not captions])
        images, files = decode_all(self.root, wanted, self.form)
        labels = {} if captions else labels_of(files, split, manifest)
        said = [captions[file][: self.wordings] for file in files] if captions else []
        pictures = _captioned(images, said) if captions else _classified(images, files, labels)
        border = split.border(files)
        train = pictures.part(slice(border, None), self.flip)
        reference = pictures.part(slice(border)) if border else train
        return train, reference, spec_of(train, tuple(sorted({*labels.values()})))


def labels_of(files: Sequence[str], split: Split, manifest: Manifest) -> dict[str, str]:
    """Return the class of each file, by the manifest or by subfolders. Empty if there are not two classes."""
    if manifest.labels:
        return manifest.labels if len({manifest.labels[file] for file in files}) > 1 else {}
    return {file: split.label(file) for file in files} if class_names(split, files) else {}


def _captioned(images: np.ndarray, said: Sequence[Sequence[str]]) -> Pictures:
    return Pictures(images, [first for first, *_ in said], wordings=said if max(map(len, said)) > 1 else None)


def _classified(images: np.ndarray, files: Sequence[str], labels: Mapping[str, str]) -> Pictures:
    numbers = {name: number for number, name in enumerate(sorted({*labels.values()}))}
    return Pictures(images, torch.tensor([numbers[labels[file]] for file in files]) if labels else None)


def spec_of(train: Pictures, classes: tuple[str, ...]) -> DataSpec:
    """Return the description of training pictures with captions, with these classes, or with neither."""
    if isinstance(train.condition, list):
        return DataSpec(train.shape, "text", vocabulary=_vocabulary(train), prompts=_prompts(train.condition))
    return DataSpec(train.shape, "class" if classes else "none", classes=classes, prompts=classes)


def _vocabulary(train: Pictures) -> tuple[str, ...]:
    from ganlab.data.vocabulary import vocabulary

    return tuple(vocabulary(caption for wordings in train.all_wordings() for caption in wordings))


def _prompts(captions: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(captions))[:PROMPTS]
