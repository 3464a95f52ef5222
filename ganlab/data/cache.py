"""Arrays that are slow to make: each is made once, by one process, and kept in the user's cache folder."""

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
PACKAGED = Path(__file__).with_name("arrays")  # those that come with the package, by their names in the cache


def cache_folder() -> Path:
    """Return `$GANLAB_CACHE`, else ganlab's folder in the user's cache folder (`~/.cache/ganlab` on Linux)."""
    return Path(os.environ.get("GANLAB_CACHE") or user_cache_path("ganlab"))


def digest(*facts: object) -> str:
    """Return a short name for plain values. It is the same for the same values on any machine."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def cached_array(name: str, facts: object, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the array that `make()` returns, memory mapped from disk. It is made only once for the same `facts`.

    It is not made at all if it comes with the package (`tools/package_captions.py`).
    """

    def write(part: Path) -> None:
        array = make()
        with part.open("wb") as file:
            reserve(file, array.nbytes + HEADER)
            np.save(file, array)
            file.truncate()

    file = f"{name}-{digest(facts)}.npy"
    packaged = PACKAGED / file
    return np.load(packaged if packaged.is_file() else cached_path(file, write), mmap_mode="r")


def remembered_array(name: str, facts: object, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return a copy of `cached_array`, or the array from `make()` if the cache cannot be written."""
    try:
        return np.array(cached_array(name, facts, make))
    except (UserError, OSError):
        return make()


def _is_current(path: Path) -> bool:
    return True


def cached_path(name: str, write: Callable[[Path], None], is_current: Callable[[Path], bool] = _is_current) -> Path:
    """Return the file or folder `name` of the cache. `write(path)` makes it at the first request.

    It is written under another name and moved into place under a lock. So a killed process leaves no partial file, and
    processes that start together make it once. If its bytes have changed since (seal.py), it is made again; also if
    `is_current(path)` is false.

    Raises:
        UserError: the cache cannot be written.
        OSError: `write` cannot read a file outside the cache.
    """
    path = cache_folder() / name
    if is_sound(path) and is_current(path):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(_lock(path)):
            if not (is_sound(path) and is_current(path)):
                _sweep(path)
                _write(path, write)
    except OSError as error:
        raise _refusal(path, error) from error
    return path


def _refusal(path: Path, error: OSError) -> OSError | UserError:
    """Return the error for a cache that cannot be written, or `error` itself if its file is outside the cache."""
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
    """Remove partial files of killed processes: `path`'s own, whose lock is held, and those that no process locks."""
    _remove(path.with_name(path.name + PART))
    for part in path.parent.glob("*" + PART):
        with suppress(Timeout, OSError), FileLock(_lock(part.with_name(part.name.removesuffix(PART))), timeout=0):
            _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
