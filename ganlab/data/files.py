"""The pictures in a folder: found, sorted, and decoded once into one memory mapped array of the cache.

This module handles files and folders only. captions.py reads captions, decode.py decodes a picture.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
from pytorch_lightning.utilities import rank_zero_warn

from ganlab.data.cache import cached_path, digest
from ganlab.data.decode import SUFFIXES, Form, decode
from ganlab.data.progress import progress
from ganlab.data.space import new_array
from ganlab.data.split import border_of, place
from ganlab.data.walk import Listing, listing, printable, reasons
from ganlab.errors import UserError

DECODED = 1  # increase it if decoding changes, so that old pictures in the cache are not used
THREADS = 8  # at most: each thread keeps the memory that it has freed
QUEUED = 4096  # pictures that wait for a thread, at 2 kB each
TRAINING = frozenset({"train", "training"})
REFERENCE = frozenset({"test", "val", "valid", "validation"})

Reader = Callable[[Path, Form], np.ndarray]
"""A function from a file and a form to uint8 of the form's shape. It may raise any error."""


def find_pictures(root: Path) -> list[str]:
    """Return the paths of all pictures under `root`, relative to it, sorted, with forward slashes.

    Warn and raise as `find_files` does.
    """
    return find_files(root).pictures


def find_files(root: Path) -> Listing:
    """Return all pictures, texts and folders under `root`, at least one picture.

    Hidden files are skipped. Warn once of pictures, captions and folders that cannot be read, with the reasons.

    Raises:
        UserError: the folder does not exist, or it has no picture.
    """
    found = listing(root)
    left = f"{len(found.left_out)} files or folders in {root} are left out: {reasons(found.left_out)}"
    if not found.pictures:
        kinds = " ".join(sorted(SUFFIXES))
        also = f"; {left}" if found.left_out else ""
        raise UserError(f"`root` must be a folder of pictures ({kinds}), got {root}, which has none{also}")
    if found.left_out:
        rank_zero_warn(left)
    return found


class Split:
    """The rule for held-out files: those in `test/` if there are only `train/` and `test/`, else a fraction by name."""

    def __init__(self, files: Sequence[str], fraction: float) -> None:
        tops = {_folders(file)[0].lower() if _folders(file) else "" for file in files}
        self.given = tops <= TRAINING | REFERENCE and bool(tops & TRAINING) and bool(tops & REFERENCE)
        self.fraction = fraction

    def held_out(self, file: str) -> bool:
        """Return whether the file belongs to the reference."""
        return file.split("/")[0].lower() in REFERENCE if self.given else place(file) < self.fraction

    def label(self, file: str) -> str:
        """Return the class that a file's folder names, or "" if the file is in no folder."""
        return next(iter(_folders(file)[int(self.given) :]), "")

    def order(self, files: Sequence[str]) -> list[str]:
        """Return held-out files first. Then both splits are slices of one array and neither is copied."""
        return sorted(files, key=lambda file: (not self.held_out(file), place(file)))

    def border(self, files: Sequence[str]) -> int:
        """Return the number of held-out files: at least one if any should be, with two left for training."""
        held = sum(map(self.held_out, files))
        return held if self.given else border_of(held, len(files), self.fraction)


def _folders(file: str) -> list[str]:
    return file.split("/")[:-1]


def decode_all(
    root: Path, files: Sequence[str], form: Form, read: Reader = decode, partners: Sequence[str] = ()
) -> tuple[np.ndarray, list[str]]:
    """Decode all pictures that can be decoded, in order.

    Return (N, C, height, width) uint8, memory mapped, and the names. They come from the cache if the same files were
    decoded in the same way before. Warn once of all broken files. `read`: makes a file's picture; a `UserError` that it
    raises ends the decoding. `partners`: files that it opens beside `files`.
    """
    facts = [DECODED, form.facts(), [(file, *_state(root / file)) for file in [*files, *partners]]]
    name = f"folder-{'x'.join(map(str, dict.fromkeys(form.shape[1:])))}-{digest(str(root.resolve()), facts)}"
    folder = cached_path(name, lambda part: _decode_into(part, root, files, form, read))
    broken = json.loads((folder / "broken.json").read_text(encoding="utf-8"))
    if broken:
        rank_zero_warn(f"{len(broken)} of {len(files)} files in {root} are broken and left out: {reasons(broken)}")
    good = [file for file in files if file not in broken]
    images = np.load(folder / "images.npy", mmap_mode="c")  # changes stay in memory: tensors may share it
    return images[: len(good)], good


def _parts(count: int) -> Iterator[range]:
    """Yield the rows in parts of `QUEUED`. The pool holds no more of them at a time."""
    return (range(start, min(start + QUEUED, count)) for start in range(0, count, QUEUED))


def fault(error: Exception) -> str:
    """Return why a picture cannot be read, on one line."""
    return printable(" ".join(str(error).split()) or type(error).__name__)


def _state(path: Path) -> tuple[int, int, bool]:
    """Return values that show if a file has changed: size, time, readability. All are zero if it no longer exists."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0, False
    return stat.st_size, stat.st_mtime_ns, os.access(path, os.R_OK)


def _decode_into(folder: Path, root: Path, files: Sequence[str], form: Form, read: Reader) -> None:
    """Decode straight into a memory map, so that a folder may be larger than the memory."""
    folder.mkdir()
    images = new_array(folder / "images.npy", (len(files), *form.shape))

    def one(row: int) -> str | None:
        try:
            images[row] = read(root / files[row], form)
        except UserError:
            raise
        except Exception as error:  # a broken file makes Pillow's plug-ins raise nearly anything
            return fault(error)
        return None

    with warnings.catch_warnings(), ThreadPoolExecutor(min(os.cpu_count() or 1, THREADS)) as pool:
        warnings.filterwarnings("ignore", module="PIL")  # the user need not know Pillow's doubts
        done = chain.from_iterable(pool.map(one, part) for part in _parts(len(files)))
        faults = list(progress(done, len(files), f"decoding {root}:"))
    broken = {file: fault for file, fault in zip(files, faults, strict=True) if fault}
    if len(broken) == len(files):
        raise UserError(f"`root` has no picture that can be read: {reasons(broken)}")
    for new, old in enumerate(row for row, fault in enumerate(faults) if fault is None):
        if new != old:
            images[new] = images[old]  # close the gaps, so that the remaining pictures can be sliced
    images.flush()
    (folder / "broken.json").write_text(json.dumps(broken), encoding="utf-8")
