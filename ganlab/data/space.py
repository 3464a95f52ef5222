"""Reserve room on a disk before it is written to.

A memory map over a sparse file ends the process with SIGBUS if the disk is full. A reserved file prevents this.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
from pathlib import Path
from typing import IO

import numpy as np

from ganlab.errors import UserError

CHUNK = 2**20
UNSUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)  # errors of a file system without reservations


def new_array(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """Make a `.npy` file of uint8 zeros of this shape, with all its room reserved, memory mapped for writing.

    Raises:
        UserError: the disk has not enough room.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        reserve(file, file.tell() + math.prod(shape))
    return np.lib.format.open_memmap(path, "r+")


def reserve(file: IO[bytes], size: int) -> None:
    """Make an open file `size` bytes long, with room for all bytes. The content before its position is kept.

    Raises:
        UserError: the disk has not enough room.
    """
    path = Path(file.name)
    try:
        file.flush()
        _allocate(file, size)
    except OSError as error:
        os.truncate(path, 0)  # free the reserved part before the free room is reported
        raise no_room(path, size, error) from error


def no_room(path: Path, size: int, error: OSError) -> UserError:
    """Return the error that names the file, the room it needs, the room that is free, and a remedy."""
    folder = next(folder for folder in path.parents if folder.exists())
    return UserError(
        f"cannot cache {path}: it needs {amount(size)} and {amount(shutil.disk_usage(folder).free)} are free "
        f"({error.strerror or error}): make room, or set GANLAB_CACHE=FOLDER on a disk that has it"
    )


def amount(size: int) -> str:
    """Return a number of bytes in a readable unit.

    >>> amount(800), amount(1_260_000), amount(3_000_000_000)
    ('800 bytes', '1.3 MB', '3.0 GB')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def _allocate(file: IO[bytes], size: int) -> None:
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except AttributeError:  # macOS and Windows
        _write_zeros(file, size)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        _write_zeros(file, size)


def _write_zeros(file: IO[bytes], size: int) -> None:
    start = file.tell()
    for place in range(start, size, CHUNK):
        file.write(bytes(min(CHUNK, size - place)))
    file.flush()
    os.fsync(file.fileno())  # a file system that allocates late reports only now that it is full
    file.seek(start)
