"""Arrays that are slow to make and cheap to keep: made once, in the user's cache folder, by one process at a time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock
from platformdirs import user_cache_path

from ganlab.errors import UserError


def cache_folder() -> Path:
    """`$GANLAB_CACHE`, else the user's cache folder (`~/.cache/ganlab` on Linux)."""
    return Path(os.environ.get("GANLAB_CACHE") or user_cache_path("ganlab"))


def digest(*facts: object) -> str:
    """A short name for plain values: the same for the same values, on any machine."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def cached_array(name: str, facts: object, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array that `make()` returns, memory mapped from disk, made only the first time `facts` are seen."""

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.save(file, make())

    return np.load(cached_path(f"{name}-{digest(facts)}.npy", write), mmap_mode="r")


def remembered_array(name: str, facts: object, make: Callable[[], np.ndarray]) -> np.ndarray:
    """A copy of `cached_array`, for what nobody needs on disk: a cache that cannot be written only costs time."""
    try:
        return np.array(cached_array(name, facts, make))
    except (UserError, OSError):
        return make()


def cached_path(name: str, write: Callable[[Path], None]) -> Path:
    """The file or folder `name` of the cache, which `write(path)` makes the first time it is asked for.

    Written under another name and moved into place under a lock, so that a killed process leaves nothing half
    written and processes that start together make it once. Raises UserError where the cache cannot be written.
    """
    path = cache_folder() / name
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock")):
            if not path.exists():
                _write(path, write)
    except PermissionError as error:
        raise UserError(
            f"cannot write to the cache ({error}): set GANLAB_CACHE to a folder you may write to"
        ) from error
    return path


def _write(path: Path, write: Callable[[Path], None]) -> None:
    part = path.with_name(path.name + ".part")
    _remove(part)  # what a killed process left behind: nobody else can be writing, the lock is ours
    try:
        write(part)
        part.replace(path)
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
