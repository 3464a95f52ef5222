"""A zip of pictures, as StyleGAN's dataset_tool writes it: classes in dataset.json, else in the names of folders.

A StyleGAN zip stores its pictures uncompressed; compressed ones are read too. The zip stays as it is: an index of the
places is made once, and a picture is read at its place.
"""

from __future__ import annotations

import json
import mmap
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pytorch_lightning.utilities import rank_zero_warn

from ganlab.config.ranges import Channels, ProperFraction, Seed, Size, Workers
from ganlab.data.base import DataSpec
from ganlab.data.cache import cached_path, digest
from ganlab.data.checks import check_root
from ganlab.data.decode import FORMATS, SUFFIXES
from ganlab.data.files import Split
from ganlab.data.folder import labels_of, numbered
from ganlab.data.index import VERSION, Index, arranged, read_index, write_index
from ganlab.data.manifest import Manifest
from ganlab.data.picture_files import PictureFiles
from ganlab.data.pictures import Pictures
from ganlab.data.records import Records
from ganlab.data.walk import reasons
from ganlab.errors import UserError

LABELS = "dataset.json"
HEADER = struct.Struct("<4s22xHH")  # of a record: signature, ..., length of its name, length of its extra field


class ZipData(PictureFiles):
    """The pictures in the zip file `root`, at `size` x `size`, or height and width.

    Classes are those of StyleGAN's `dataset.json`, by number. Without that file they are the folders in the zip, if
    there are two or more. `crop`: cut the middle of the aspect out, else squeeze. `channels`: 3, or 1 for grey.
    `held_out`: the fraction kept for reference, unless the pictures are in `train/` and `test/`. `flip`: mirror at
    random. `balanced`: draw each class equally often.
    """

    kinds: ClassVar[tuple[str, ...]] = ("none", "class")

    def __init__(
        self,
        root: str | Path,
        size: Size = 64,
        crop: bool = True,
        channels: Channels = 3,
        held_out: ProperFraction = 0.1,
        flip: bool = False,
        balanced: bool = False,
        workers: Workers = 0,
        seed: Seed = 0,
    ) -> None:
        super().__init__(size, crop, channels, held_out, flip, workers, seed)
        self.root, self.balanced = check_root(root), balanced

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        if not self.root.is_file():
            raise UserError(f"`root` must be a zip of pictures, got {self.root}, which is no file: pass data.root=FILE")
        stamp = self.root.stat()
        key = digest(VERSION, str(self.root.resolve()), stamp.st_size, stamp.st_mtime_ns)
        index = read_index(cached_path(f"zip-{key}", self._index))
        source = Records([self.root], index, self.form, stamp.st_mtime_ns)
        return index.found(source, self.held_out, 1).divided(self.flip, self.balanced)

    def _index(self, part: Path) -> None:
        try:
            with zipfile.ZipFile(self.root) as archive:
                write_index(part, indexed(archive, self.root))
        except (zipfile.BadZipFile, struct.error, NotImplementedError) as error:
            raise UserError(f"`root` must be a zip of pictures, got {self.root}: {error}") from error


def indexed(archive: zipfile.ZipFile, path: Path) -> Index:
    """Return the index of a zip's pictures, with the columns of `Records`. Warn of those that cannot be read."""
    endings = tuple(SUFFIXES)
    records = [record for record in archive.infolist() if record.filename.lower().endswith(endings)]
    left_out = {record.filename: why for record in records if (why := _obstacle(record))}
    records = [record for record in records if record.filename not in left_out]
    if left_out:
        rank_zero_warn(f"{len(left_out)} pictures in {path} are left out: {reasons(left_out)}")
    if not records:
        raise UserError(f"`root` must be a zip of pictures ({', '.join(FORMATS)}), got {path}, which has none")
    names = [record.filename for record in records]
    labels, classes = _classes(archive, names)
    columns = {
        "file": np.zeros(len(records), np.int32),
        "start": _starts(path, [record.header_offset for record in records]),
        "size": np.array([record.compress_size for record in records], np.int64),
        "unpacked": np.array([record.file_size if record.compress_type else 0 for record in records], np.int64),
    }
    return arranged(names, labels, classes, columns=columns)


def _obstacle(record: zipfile.ZipInfo) -> str:
    if record.flag_bits & 1:
        return "it is encrypted"
    known = record.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    return "" if known else "a compression that is not read: use deflate, or none"


def _starts(path: Path, headers: Sequence[int]) -> np.ndarray:
    """Return where the bytes of each record begin: behind its header, its name and its extra field."""
    starts = np.empty(len(headers), np.int64)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for row, place in enumerate(headers):
            signature, name, extra = HEADER.unpack_from(data, place)
            if signature != b"PK\3\4":
                raise zipfile.BadZipFile("its directory names places without a record")
            starts[row] = place + HEADER.size + name + extra
    return starts


# Classes ----------------------------------------------------------------------------------------------------------


def _classes(archive: zipfile.ZipFile, names: Sequence[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the class of each picture and the names of classes: None and nothing if there are none."""
    if LABELS in archive.namelist():
        return _numbered(_stored(archive), names)
    return numbered(names, labels_of(names, Split(names, 0.0), Manifest(list(names), {}, False)))


def _stored(archive: zipfile.ZipFile) -> Mapping[str, Any]:
    try:
        pairs = (json.loads(archive.read(LABELS)) or {}).get("labels") or []
        return {str(name): label for name, label in pairs}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f'`root`: {LABELS} must hold {{"labels": [[name, class], ...]}} or null: {error}') from error


def _numbered(stored: Mapping[str, Any], names: Sequence[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    labels = [stored.get(name) for name in names]
    whole = [label for label in labels if isinstance(label, int) and 0 <= label < len(names)]
    if len(whole) < len(names):
        if stored:
            rank_zero_warn(
                f"{LABELS} has no class, a number from 0, for {len(names) - len(whole)} pictures: none is read"
            )
        return None, ()
    return np.array(whole), tuple(map(str, range(max(whole) + 1)))
