"""Any folder of pictures: with captions if it has some, else with classes, else unconditional.

This module joins files.py, which finds and decodes pictures, captions.py, which reads captions, and manifest.py, which
reads the classes of a table. Without a table, subfolders are classes. Pictures are decoded once, or each time that they
are drawn.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pytorch_lightning.utilities import rank_zero_warn

from ganlab.config.ranges import Channels, NonNegativeInt, ProperFraction, Seed, Size, Workers
from ganlab.data.base import DataSpec
from ganlab.data.cache import cached_path, digest
from ganlab.data.captions import Captions, read_captions
from ganlab.data.checks import check_root
from ganlab.data.decoded import Files
from ganlab.data.files import Split, decode_all, find_files
from ganlab.data.index import VERSION, Index, arranged, read_facts, read_index, write_index
from ganlab.data.manifest import Manifest, read_manifest
from ganlab.data.picture_files import PictureFiles
from ganlab.data.pictures import Pictures
from ganlab.data.splits import Found
from ganlab.data.walk import Listing, some

SETTLED = 2.0  # seconds after which a change of a folder has another time than the one before


def class_names(split: Split, files: Sequence[str]) -> tuple[str, ...]:
    """Return the sorted subfolders with pictures. Empty if some pictures are outside, or all are in one subfolder."""
    names = {split.label(file) for file in files}
    if "" in names and len(names) > 2:
        loose = [file for file in files if not split.label(file)]
        rank_zero_warn(f"subfolders are not taken as classes: {len(loose)} pictures lie in none: {some(loose)}")
    return tuple(sorted(names)) if len(names) > 1 and "" not in names else ()


class FolderData(PictureFiles):
    """The pictures under `root`, at `size` x `size`, with captions, classes or neither.

    Classes are the `label` column of a `metadata.jsonl`, or two subfolders or more.

    `size`: a side, or height and width. `crop`: cut the middle of this aspect out, else squeeze. `channels`: 3, or 1
    for grey. `held_out`: the fraction kept for reference, unless the pictures are in `train/` and `test/`. `flip`:
    mirror at random. `wordings`: the largest number of captions of a picture that are used, of which a batch draws one.
    1: the first one only. 0: none, as if there were no captions. `decode`: "once", into one array in the cache, or
    "lazy", each time that a picture is drawn. Then an index keeps the names, and `rescan` makes it again. `balanced`:
    draw each class equally often.
    """

    kinds: ClassVar[tuple[str, ...]] = ("none", "class", "text")

    def __init__(
        self,
        root: str | Path,
        size: Size = 64,
        crop: bool = True,
        channels: Channels = 3,
        held_out: ProperFraction = 0.1,
        flip: bool = False,
        wordings: NonNegativeInt = 64,
        workers: Workers = 0,
        seed: Seed = 0,
        decode: Literal["once", "lazy"] = "once",
        rescan: bool = False,
        balanced: bool = False,
    ) -> None:
        super().__init__(size, crop, channels, held_out, flip, workers, seed)
        self.root, self.wordings = check_root(root), wordings
        self.decode, self.rescan, self.balanced = decode, rescan, balanced

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        found = self._decoded_later() if self.decode == "lazy" else self._decoded_once()
        return found.divided(self.flip, self.balanced)

    def _decoded_once(self) -> Found:
        listed = find_files(self.root)
        manifest = read_manifest(self.root, listed.pictures)
        captions = _captions(self.root, manifest, listed) if self.wordings else {}
        split = Split(manifest.files, self.held_out)
        wanted = split.order([file for file in manifest.files if file in captions or not captions])
        images, files = decode_all(self.root, wanted, self.form)
        said = [captions[file][: self.wordings] for file in files] if captions else []
        labels, classes = numbered(files, {} if captions else labels_of(files, split, manifest))
        return Found(images, split.border(files), said, labels, classes)

    def _decoded_later(self) -> Found:
        index = folder_index(self.root, self.rescan, captioned=self.wordings > 0)
        return index.found(Files(self.root, index.names, self.form), self.held_out, self.wordings)


def _captions(root: Path, manifest: Manifest, listed: Listing) -> Captions:
    return read_captions(root, manifest.files, listed.texts) if manifest.captioned else {}


def labels_of(files: Sequence[str], split: Split, manifest: Manifest) -> dict[str, str]:
    """Return the class of each file, by the manifest or by subfolders. Empty if there are not two classes."""
    if manifest.labels:
        return manifest.labels if len({manifest.labels[file] for file in files}) > 1 else {}
    return {file: split.label(file) for file in files} if class_names(split, files) else {}


def numbered(files: Sequence[str], labels: Mapping[str, str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the number of each file's class, (N,), and the sorted classes. None and nothing if there are no labels."""
    classes = tuple(sorted({*labels.values()}))
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[labels[file]] for file in files]) if labels else None, classes


# Indexes --------------------------------------------------------------------------------------------------------


def folder_index(root: Path, rescan: bool = False, captioned: bool = True) -> Index:
    """Return the index of a folder, from the cache if no folder in it has changed since it was made.

    A folder changes if a file in it is added, removed or renamed. A caption that is edited in place is not noticed.
    `rescan`: make it in any case, once for all processes that start together. `captioned`: whether captions are read.
    """
    since = time.time()

    def is_current(folder: Path) -> bool:
        facts = read_facts(folder)
        return facts["made"] >= since if rescan else _changes(root, facts["folders"]) == facts["changes"]

    name = f"index-{digest(VERSION, str(root.resolve()), captioned)}"
    return read_index(cached_path(name, lambda part: _write(part, root, captioned), is_current))


def _write(part: Path, root: Path, captioned: bool) -> None:
    started = time.time() - SETTLED
    listed = find_files(root)
    manifest = read_manifest(root, listed.pictures)
    captions = _captions(root, manifest, listed) if captioned else {}
    names = [file for file in manifest.files if file in captions or not captions]
    labels, classes = numbered(names, {} if captions else labels_of(names, Split(manifest.files, 0.0), manifest))
    index = arranged(names, labels, classes, [captions[name] for name in names] if captions else None)
    changes = [change if change < started * 1e9 else -1 for change in _changes(root, listed.folders)]
    write_index(part, index, folders=listed.folders, changes=changes, made=time.time())


def _changes(root: Path, folders: Sequence[str]) -> list[int]:
    """Return the time at which each folder changed last, in nanoseconds; 0 if it is gone."""
    return [_change(root / folder) for folder in folders]


def _change(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
