"""Where the weights of other people's networks are: torch's hub cache, or the net when it answers soon.

The only file of the metrics that opens a connection. Never waits long, never leaves half a file behind, and does
not ask twice in one process.
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
    """The weights cannot be had; the message says why, in one line without a full stop."""


@dataclass(frozen=True)
class Weights:
    """A file of weights: what it is called by people and in torch's hub cache, where it comes from, how its SHA-256
    begins ("" where nobody says)."""

    title: str
    file: str
    address: str
    digest: str = ""

    @property
    def path(self) -> Path:
        """Where torch-fidelity and torchmetrics look for it too."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.file

    def cached(self) -> Path:
        """The file in torch's hub cache; `UnavailableError` if it is not there."""
        if not self.path.is_file():
            raise UnavailableError(f"no {self.title} weights at {self.path}")
        return self.path

    def fetch(self, seconds: float = 5.0) -> Path:
        """The file, downloaded into the hub cache if need be.

        `UnavailableError` if the net is silent for `seconds`; `GANLAB_OFFLINE=1` keeps it from trying.
        """
        if self.path.is_file():
            return self.path
        refuse_offline(self.title)
        answer = _attempt(self, seconds, self.path)
        if isinstance(answer, str):
            raise UnavailableError(answer)
        return answer


def refuse_offline(title: str) -> None:
    """`UnavailableError` where `GANLAB_OFFLINE` says that nothing may be fetched."""
    if os.environ.get("GANLAB_OFFLINE", "0") not in ("", "0"):
        raise UnavailableError(f"no {title} weights here, and GANLAB_OFFLINE forbids fetching them")


def refuse_silence(title: str, address: str, seconds: float = 5.0) -> None:
    """`UnavailableError` unless the address answers soon: for libraries that would wait, or ask a person."""
    refuse_offline(title)
    if complaint := _knock(title, address, seconds):
        raise UnavailableError(complaint)


def checked(path: Path) -> Path:
    """`path`, once it is sure that reading it runs no code: torch-fidelity itself unpickles without that limit."""
    try:
        torch.load(path, map_location="meta", weights_only=True)
    except Exception as error:  # whatever a damaged file makes of it
        raise UnavailableError(f"{path} is not a file of weights ({type(error).__name__})") from error
    return path


@lru_cache
def _attempt(weights: Weights, seconds: float, path: Path) -> Path | str:
    """The file, or why there is none; remembered, so that a run without a net waits once."""
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
    """Why the address cannot be reached, or nothing."""
    try:
        with _connect(address, seconds):
            return ""
    except (OSError, HTTPException, UnavailableError) as error:
        return f"the {title} weights cannot be fetched ({error})"


def _connect(address: str, seconds: float) -> Any:
    """An open connection; in a thread of its own, since looking a name up obeys no time limit."""
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
    """Into place in one move, and only if the bytes are those that were promised."""
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
    """What the connection gives, with a progress bar, within the time there is."""
    deadline, total = time.monotonic() + LONGEST_DOWNLOAD, int(source.headers["Content-Length"] or 0) // PIECE
    for piece in progress(iter(lambda: source.read(PIECE), b""), total, f"fetching the {title} weights:"):
        if time.monotonic() > deadline:
            raise UnavailableError(f"not done in {LONGEST_DOWNLOAD} s")
        yield piece
