"""Shards: tar files of pictures with captions or classes, as WebDataset has them, read by an index of places.

A sample is a run of files with one key: `0001.jpg`, with `0001.txt` (captions, a line each), `0001.cls` (a class) or
`0001.json` (`caption` or `text`, `label` or `cls`). The index of all shards is made once. Then picture i is one read at
its place in one shard, so batches are drawn from a full permutation, as they are from memory.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pytorch_lightning.utilities import rank_zero_warn

from ganlab.config.ranges import Channels, NonNegativeInt, ProperFraction, Seed, Size, Workers
from ganlab.data.base import DataSpec
from ganlab.data.cache import cached_path, digest
from ganlab.data.checks import check_root
from ganlab.data.decode import SUFFIXES
from ganlab.data.index import VERSION, Index, arranged, read_index, write_index
from ganlab.data.picture_files import PictureFiles
from ganlab.data.pictures import Pictures
from ganlab.data.progress import progress
from ganlab.data.records import Records
from ganlab.data.tables import one_line
from ganlab.data.tars import records
from ganlab.data.walk import some
from ganlab.errors import UserError

TEXTS = (".txt", ".caption")
CLASSES = (".cls",)
TABLES = (".json",)
READ = frozenset({*TEXTS, *CLASSES, *TABLES})
LONGEST = 2**20  # bytes of a caption file


class ShardsData(PictureFiles):
    """The pictures in the tar files under the folder `root`, at `size` x `size`, or height and width.

    They have captions, classes or neither. `crop`: cut the middle of the aspect out, else squeeze. `channels`: 3, or 1
    for grey. `held_out`: the fraction kept for reference, unless the shards are in `train/` and `test/`. `flip`: mirror
    at random. `wordings`: the largest number of captions of a picture that are used; 0 for none, as if there were no
    captions. `balanced`: draw each class equally often.
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
        balanced: bool = False,
        workers: Workers = 0,
        seed: Seed = 0,
    ) -> None:
        super().__init__(size, crop, channels, held_out, flip, workers, seed)
        self.root, self.wordings, self.balanced = check_root(root), wordings, balanced

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        shards = find_shards(self.root)
        states = [(shard.relative_to(self.root).as_posix(), *_state(shard)) for shard in shards]
        key = digest(VERSION, str(self.root.resolve()), states, self.wordings > 0)
        index = read_index(cached_path(f"shards-{key}", lambda part: write_index(part, self._indexed(shards))))
        source = Records(shards, index, self.form, int(key, 16))
        return index.found(source, self.held_out, self.wordings).divided(self.flip, self.balanced)

    def _indexed(self, shards: Sequence[Path]) -> Index:
        names = [shard.relative_to(self.root).with_suffix("").as_posix() for shard in shards]
        read = (_samples(shard, number, names[number]) for number, shard in enumerate(shards))
        samples = [one for several in progress(read, len(shards), f"indexing {self.root}:") for one in several]
        if not samples:
            raise UserError(f"`root` must be a folder of tar files with pictures, got {self.root}, whose have none")
        return indexed(samples, captioned=self.wordings > 0)


def find_shards(root: Path) -> list[Path]:
    """Return all tar files under a folder, sorted. Raise `UserError` if there are none."""
    if not root.is_dir():
        raise UserError(f"`root` must be a folder of tar files, got {root}, which is none: pass data.root=FOLDER")
    shards = sorted(path for path in root.rglob("*.tar") if path.is_file())
    if not shards:
        raise UserError(f"`root` must be a folder of tar files, got {root}, which has none: pass data.root=FOLDER")
    return shards


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


# Samples ----------------------------------------------------------------------------------------------------------


@dataclass
class Sample:
    """A picture's place: the shard's number, where it begins and its size in bytes; with its captions and class."""

    name: str
    shard: int
    start: int = 0
    size: int = 0
    captions: list[str] = field(default_factory=list)
    label: str = ""


def _samples(shard: Path, number: int, prefix: str) -> list[Sample]:
    """Return the samples of a shard that have a picture."""
    found: list[Sample] = []
    try:
        with shard.open("rb") as file:
            for path, start, size in records(shard):
                folder, _, name = path.rpartition("/")
                key, _, _ = name.partition(".")
                if not key:
                    continue  # a hidden file
                full = "/".join(part for part in (prefix, folder.removeprefix("./").strip("."), key) if part)
                if not found or found[-1].name != full:
                    found.append(Sample(full, number))
                _add(found[-1], path, start, size, file.fileno())
    except (tarfile.TarError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"`root`: {shard} is no tar file that can be read ({error})") from error
    return [sample for sample in found if sample.size]


def _add(sample: Sample, path: str, start: int, size: int, file: int) -> None:
    """Add one file to its sample."""
    suffix = path[path.rindex(".") :].lower() if "." in path else ""
    if suffix in SUFFIXES and not sample.size:
        sample.start, sample.size = start, size
    elif suffix in READ:
        if size > LONGEST:
            raise UserError(f"`root`: {path} in {sample.name} has more than {LONGEST:,} bytes")
        _read(sample, suffix, os.pread(file, size, start), path)


def _read(sample: Sample, suffix: str, data: bytes, name: str) -> None:
    """Read a sample's captions or class."""
    try:
        text = data.decode("utf-8-sig")
        facts = json.loads(text) if suffix in TABLES else {}
    except (ValueError, RecursionError) as error:
        raise UserError(f"`root`: {sample.name}: {name} cannot be read ({error})") from error
    if suffix in CLASSES:
        sample.label = text.strip()
    elif suffix in TEXTS:
        sample.captions += _lines(text.split("\n"), name)
    elif isinstance(facts, dict):
        said = facts.get("caption", facts.get("text", []))
        sample.captions += _lines(said if isinstance(said, list) else [said], name)
        sample.label = sample.label or str(facts.get("label", facts.get("cls", "")))


def _lines(texts: Sequence[Any], name: str) -> list[str]:
    lines = (one_line(text, name) for text in texts if isinstance(text, str))
    return [line for line in lines if line]


# The index --------------------------------------------------------------------------------------------------------


def indexed(samples: Sequence[Sample], captioned: bool = True) -> Index:
    """Return the index of samples, with the columns of `Records`.

    If any has a caption, those without one are left out, unless captions are not wanted. There are classes if every
    sample has one.
    """
    bare = [sample.name for sample in samples if not sample.captions]
    said = captioned and len(bare) < len(samples)
    if said and bare:
        rank_zero_warn(f"{len(bare)} of {len(samples)} pictures have no caption and are left out: {some(bare)}")
        samples = [sample for sample in samples if sample.captions]
    classes = () if said else _classes(samples)
    numbers = {name: number for number, name in enumerate(classes)}
    return arranged(
        [sample.name for sample in samples],
        np.array([numbers[sample.label] for sample in samples]) if classes else None,
        classes,
        [sample.captions for sample in samples] if said else None,
        {
            "file": np.array([sample.shard for sample in samples], np.int32),
            "start": np.array([sample.start for sample in samples], np.int64),
            "size": np.array([sample.size for sample in samples], np.int64),
            "unpacked": np.zeros(len(samples), np.int8),
        },
    )


def _classes(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Return the names of the classes: 0 .. the largest if all are numbers, else sorted. Empty if there are none."""
    names = {sample.label for sample in samples}
    if "" in names:
        return ()
    if all(name.isdecimal() and int(name) < len(samples) for name in names):
        return tuple(map(str, range(max(map(int, names)) + 1)))
    return tuple(sorted(names)) if len(names) > 1 else ()
