"""Published weights of other projects' networks: in torch's hub cache, or downloaded if the server answers soon.

This is the only file of the metrics that opens a connection. It never waits long, never leaves an incomplete file
behind, and does not ask twice in one process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.request import urlopen

import torch
from filelock import FileLock

from ganlab.data.progress import progress

LONGEST_DOWNLOAD = 600  # seconds
PIECE = 1 << 18


class UnavailableError(RuntimeError):
    """The weights are unavailable. The message gives the reason, in one line without a full stop."""


@dataclass(frozen=True)
class Weights:
    """A file of weights.

    title: its name in messages. file: its name in torch's hub cache. address: its URL. digest: the first digits of its
    SHA-256, or "" if unknown.
    """

    title: str
    file: str
    address: str
    digest: str = ""

    @property
    def path(self) -> Path:
        """Return the path that torch-fidelity and torchmetrics use too."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.file

    def cached(self) -> Path:
        """Return the file in torch's hub cache. Raise `UnavailableError` if it is not there."""
        if not self.path.is_file():
            raise UnavailableError(f"no {self.title} weights at {self.path}")
        return self.path

    def fetch(self, seconds: float = 5.0) -> Path:
        """Return the file, downloaded into the hub cache if necessary.

        Raise `UnavailableError` if the server is silent for `seconds`, or if `GANLAB_OFFLINE=1` forbids downloads.
        """
        if self.path.is_file():
            return self.path
        refuse_offline(self.title)
        answer = _attempt(self, seconds, self.path)
        if isinstance(answer, str):
            raise UnavailableError(answer)
        return answer


def refuse_offline(title: str) -> None:
    """Raise `UnavailableError` if `GANLAB_OFFLINE` forbids downloads."""
    if os.environ.get("GANLAB_OFFLINE", "0") not in ("", "0"):
        raise UnavailableError(f"no {title} weights here, and GANLAB_OFFLINE forbids fetching them")


def refuse_silence(title: str, address: str, seconds: float = 5.0) -> None:
    """Raise `UnavailableError` unless the address answers soon. For libraries that would wait, or prompt the user."""
    refuse_offline(title)
    if complaint := _knock(title, address, seconds):
        raise UnavailableError(complaint)


def checked(path: Path) -> Path:
    """Return `path` if loading it runs no code. torch-fidelity itself unpickles without this check."""
    try:
        torch.load(path, map_location="meta", weights_only=True)
    except Exception as error:  # whatever a damaged file makes of it
        raise UnavailableError(f"{path} is not a file of weights ({type(error).__name__})") from error
    return path


@lru_cache
def _attempt(weights: Weights, seconds: float, path: Path) -> Path | str:
    """Return the file, or the reason why there is none. Cached, so a run without a network waits once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                _download(_connect(weights.address, seconds), weights, path)
        return path
    except (OSError, HTTPException, UnavailableError) as error:
        return f"the {weights.title} weights cannot be fetched ({error})"


@lru_cache
def _knock(title: str, address: str, seconds: float) -> str:
    """Return the reason why the address is unreachable, or ""."""
    try:
        with _connect(address, seconds):
            return ""
    except (OSError, HTTPException, UnavailableError) as error:
        return f"the {title} weights cannot be fetched ({error})"


def _connect(address: str, seconds: float) -> Any:
    """Return an open connection. It is made in a thread, because resolving a name obeys no time limit."""
    answers: Queue[Any] = Queue()

    def ask() -> None:
        try:
            answers.put(urlopen(address, timeout=seconds))
        except (OSError, HTTPException) as error:
            answers.put(error)

    Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise UnavailableError(f"no answer in {seconds:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _download(source: Any, weights: Weights, path: Path) -> None:
    """Write the file and move it into place in one step, if its digest is the expected one."""
    part, hashed = path.with_suffix(f".part{os.getpid()}"), sha256()
    try:
        with source, part.open("wb") as out:
            for piece in _pieces(source, weights.title):
                hashed.update(piece)
                out.write(piece)
        if not hashed.hexdigest().startswith(weights.digest):
            raise UnavailableError("what came is not the file asked for")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _pieces(source: Any, title: str) -> Iterator[bytes]:
    """Yield the content of the connection, with a progress bar, within the time limit."""
    deadline, total = time.monotonic() + LONGEST_DOWNLOAD, int(source.headers["Content-Length"] or 0) // PIECE
    for piece in progress(iter(lambda: source.read(PIECE), b""), total, f"fetching the {title} weights:"):
        if time.monotonic() > deadline:
            raise UnavailableError(f"not done in {LONGEST_DOWNLOAD} s")
        yield piece
