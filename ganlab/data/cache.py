"""Arrays that are slow to make and cheap to keep: made once, in the user's cache folder, by one process at a time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from ganlab.data.seal import is_sound, write_seal
from ganlab.data.space import reserve
from ganlab.errors import UserError
from ganlab.files.durable import PART

HEADER = 4096  # bytes, more than the header of a .npy file has


def cache_folder() -> Path:
    """`$GANLAB_CACHE`, else the user's cache folder (`~/.cache/ganlab` on Linux)."""
    return Path(os.environ.get("GANLAB_CACHE") or user_cache_path("ganlab"))


def digest(*facts: object) -> str:
    """Return a short name for plain values: the same for the same values, on any machine."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def cached_array(name: str, facts: object, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the array that `make()` returns, memory mapped from disk, made only the first time `facts` are seen."""

    def write(part: Path) -> None:
        array = make()
        with part.open("wb") as file:
            reserve(file, array.nbytes + HEADER)
            np.save(file, array)
            file.truncate()

    return np.load(cached_path(f"{name}-{digest(facts)}.npy", write), mmap_mode="r")


def remembered_array(name: str, facts: object, make: Callable[[], np.ndarray]) -> np.ndarray:
    """A copy of `cached_array`, for what nobody needs on disk: a cache that cannot be written only costs time."""
    try:
        return np.array(cached_array(name, facts, make))
    except (UserError, OSError):
        return make()


def cached_path(name: str, write: Callable[[Path], None]) -> Path:
    """Return the file or folder `name` of the cache, which `write(path)` makes the first time it is asked for.

    It is written under another name and moved into place under a lock: a killed process leaves nothing half written,
    and processes that start together make it once. One whose bytes have changed since (seal.py) is made again.

    Raises:
        UserError: the cache cannot be written.
        OSError: `write` cannot read a file that lies elsewhere.
    """
    path = cache_folder() / name
    if is_sound(path):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(_lock(path)):
            if not is_sound(path):
                _sweep(path)
                _write(path, write)
    except OSError as error:
        raise _refusal(path, error) from error
    return path


def _refusal(path: Path, error: OSError) -> OSError | UserError:
    """Say that the cache cannot be written, unless the error is of a file that lies elsewhere."""
    if error.filename and not Path(os.fsdecode(error.filename)).is_relative_to(path.parent):
        return error
    return UserError(
        f"cannot write {error.filename or path} to the cache ({error.strerror or error}): set GANLAB_CACHE to a folder "
        "you may write to, on a disk that has room"
    )


def _lock(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _write(path: Path, write: Callable[[Path], None]) -> None:
    part = path.with_name(path.name + PART)
    try:
        write(part)
        _remove(path)
        write_seal(path, part)
        part.replace(path)
    finally:
        _remove(part)


def _sweep(path: Path) -> None:
    """Remove what killed processes left half written: `path`'s own, whose lock is held, and those nobody locks."""
    _remove(path.with_name(path.name + PART))
    for part in path.parent.glob("*" + PART):
        with suppress(Timeout, OSError), FileLock(_lock(part.with_name(part.name.removesuffix(PART))), timeout=0):
            _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
