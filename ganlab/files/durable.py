"""Write files that survive a crash: a file is either replaced completely, and on disk, or unchanged.

The content goes to a temporary file in the same folder, which is synced and then renamed. The folder is synced too.
A process that is killed leaves at most a temporary file, which `sweep` deletes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

PART = ".part"
"""The end of a temporary file's name, which starts with a dot."""


def atomic_write(path: str | Path, content: bytes | str) -> Path:
    """Replace a file by this content; text is written as UTF-8. Make folders as needed, and return the path."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return Path(path)


def quick_write(path: Path, content: bytes) -> Path:
    """Replace a file without waiting for the disk, for one of many files that can be made again; return the path.

    A killed process leaves no torn file, a power cut may. The folder must exist.
    """
    with _named(path):
        temporary = path.with_name(f".{path.name}{PART}")
        temporary.write_bytes(content)
        temporary.replace(path)
    return path


@contextmanager
def replacing(path: str | Path, keep: Path | None = None) -> Iterator[BinaryIO]:
    """Yield a file that replaces `path` if the block succeeds, and is deleted if it fails.

    keep: the path at which the replaced file remains. At any moment one of the two files exists.
    Raise `OSError` that names `path` if the disk is full or the folder cannot be written.
    """
    path = Path(path)
    with _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o666 & ~_umask())  # mkstemp's file is readable by its owner only
            if keep is not None and path.exists():
                _keep(path, keep)
            Path(temporary).replace(path)
            sync(path.parent)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Add the name of the file that was being written to an `OSError` of the block."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _keep(path: Path, previous: Path) -> None:
    """Make the content of `path` available at `previous`. Without hard links, `path` is absent until it is replaced."""
    link = previous.with_name(f".{previous.name}{PART}")
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
        link.replace(previous)
    except OSError:
        path.replace(previous)
    finally:
        link.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Write a file to disk, or a folder's entries, so that a rename in it survives a power cut."""
    with suppress(PermissionError):  # on systems that cannot open folders there is nothing to sync
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path) -> int:
    """Delete the temporary files that killed processes left in a folder and below; return how many there were."""
    found = [path for path in folder.rglob(f".*{PART}") if path.is_file() and not path.is_symlink()]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def torch_save(content: Any, path: str | Path, keep: Path | None = None) -> None:
    """Replace the file at `path` by torch's form of the content, on disk. keep: the path of the replaced file.

    Raise `OSError` that names the file if the disk is full. torch itself raises a RuntimeError.
    """
    import torch  # only here: it takes seconds to load

    with replacing(path, keep) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            raise error.__context__ if isinstance(error.__context__, OSError) else error from error
