"""Seals: the size and a checksum of each file of a cached file or folder, kept beside it.

A power cut, a full disk or a bad sector leaves a file that has the right name and wrong bytes. Its seal reveals that.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

from ganlab.files.durable import atomic_write

READ = 2**28  # bytes of a file that are read: all of most files, an even sample of blocks of a larger one
BLOCK = 2**20


def seal_of(path: Path) -> Path:
    """Return the path of a cached file's or folder's seal."""
    return path.with_name(path.name + ".seal")


def write_seal(path: Path, contents: Path) -> None:
    """Write the seal of `contents`, which will be moved to `path`."""
    atomic_write(seal_of(path), json.dumps(_marks(contents)))


def is_sound(path: Path) -> bool:
    """Return whether a cached file or folder exists and matches its seal."""
    try:
        return bool(path.exists() and json.loads(seal_of(path).read_text(encoding="utf-8")) == _marks(path))
    except (OSError, ValueError):
        return False


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file of at most `READ` bytes, or of evenly spaced blocks of a larger one."""
    size, crc = path.stat().st_size, 0
    step = max(BLOCK, size * BLOCK // READ)
    with path.open("rb") as file:
        for start in range(0, size, step):
            file.seek(start)
            crc = zlib.crc32(file.read(BLOCK), crc)
    return crc


def _marks(path: Path) -> dict[str, list[int]]:
    files = [path] if path.is_file() else [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    return {file.relative_to(path).as_posix(): [file.stat().st_size, checksum(file)] for file in sorted(files)}
