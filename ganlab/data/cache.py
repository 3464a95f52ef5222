"""Arrays that are slow to make and cheap to keep: made once, in the user's cache folder, by one process at a time."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock
from platformdirs import user_cache_path


def cache_folder() -> Path:
    """`$GANLAB_CACHE`, else the user's cache folder (`~/.cache/ganlab` on Linux)."""
    return Path(os.environ.get("GANLAB_CACHE") or user_cache_path("ganlab"))


def digest(*facts: object) -> str:
    """A short name for plain values: the same for the same values, on any machine."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def cached_array(name: str, facts: object, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array that `make()` returns, memory mapped from disk, made only the first time `facts` are seen.

    Written to a temporary file and moved into place under a lock, so that a killed process leaves nothing half
    written and two processes that start together make it once.
    """
    path = cache_folder() / f"{name}-{digest(facts)}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _write(path, make())
    return np.load(path, mmap_mode="r")


def _write(path: Path, array: np.ndarray) -> None:
    part = path.with_suffix(f".part{os.getpid()}.npy")
    try:
        np.save(part, array)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
