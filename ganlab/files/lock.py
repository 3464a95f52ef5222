"""One writer for each run: a lock on the run's folder. The system releases it when the process that holds it ends."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ganlab.errors import UserError

LOCK, HOLDER = ".lock", ".writer"
PATIENCE = 15.0
"""Seconds to wait for a lock whose process has ended. Its data workers inherited it, and end some seconds later."""


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock inside the block. Raise `UserError` that names the process that holds it already."""
    lock = FileLock(folder / LOCK)
    _acquire(lock, folder)
    holder = folder / HOLDER
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M')}\n")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
        _discard_if_empty(folder)


def _acquire(lock: FileLock, folder: Path) -> None:
    started = time.monotonic()
    while True:
        try:
            lock.acquire(timeout=0)
            return
        except NotImplementedError:
            return  # a file system without locks
        except Timeout as error:
            who = _holder(folder)
            if not _has_ended(who) or time.monotonic() - started > PATIENCE:
                raise UserError(f"{folder} is being written by {who}: let it finish, or stop it") from error
        time.sleep(0.2)


def _holder(folder: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return (folder / HOLDER).read_text(encoding="utf-8").strip()[:200] or "another process"
    return "another process"


def _has_ended(holder: str) -> bool:
    """Return whether the process ran on this machine and has ended."""
    words = holder.split()
    if len(words) < 4 or not words[1].isdigit() or words[3] != socket.gethostname():
        return False
    try:
        os.kill(int(words[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _discard_if_empty(folder: Path) -> None:
    """Delete the folder of a run that was refused before it wrote anything."""
    with suppress(OSError):
        if [path.name for path in folder.iterdir()] in ([], [LOCK]):
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()
