"""Pictures inside large files, such as tar and zip: each is read at its place and decoded when it is drawn."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ganlab.data.decode import Form
from ganlab.data.decoded import Decoded
from ganlab.data.index import Index

OPEN = 256  # files that a process holds open at a time: systems allow 1,024 and more
MOST = 2**29  # bytes of a picture that is unpacked


class _Handle:
    """An open file. It is closed when nothing uses it any more, also if it has left the cache in the meantime."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


@lru_cache(maxsize=OPEN)
def _handle(path: str, stamp: int) -> _Handle:
    return _Handle(path)


class Records(Decoded):
    """The pictures of an index, whose columns say where each begins and ends.

    `files`: the large files. Columns: `file`, its number; `start` and `size` in bytes; `unpacked`, the size after
    inflation, 0 for a record that is stored as it is. `stamp`: changes if the files change.
    """

    def __init__(self, files: Sequence[Path], index: Index, form: Form, stamp: int = 0) -> None:
        super().__init__(len(index), form)
        self.files, self.names, self.stamp = [str(file) for file in files], index.names, stamp
        self.columns = index.columns

    def encoded(self, row: int) -> bytes:
        """Return the record's bytes. Raise `ValueError` if they end early."""
        file, start, size, unpacked = (int(self.columns[name][row]) for name in ("file", "start", "size", "unpacked"))
        handle = _handle(self.files[file], self.stamp)  # kept: two threads may open it, and only one result is cached
        data = os.pread(handle.number, size, start)
        if len(data) < size:
            raise ValueError("its file ends before it")
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, min(unpacked, MOST)) if unpacked else data

    def name(self, row: int) -> str:
        """Return the record's name."""
        return self.names[row]
