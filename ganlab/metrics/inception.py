"""Where the standard Inception weights are: torch's hub cache, or the net when it answers soon.

The only file of the metrics that opens a connection. Never waits long, never leaves half a file behind, and does
not ask twice in one process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
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

WEIGHTS_NAME = "weights-inception-2015-12-05-6726825d.pth"
ADDRESS = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{WEIGHTS_NAME}"
LONGEST_DOWNLOAD = 600  # seconds for about 95 MB
PIECE = 1 << 18


class UnavailableError(RuntimeError):
    """The weights cannot be had; the message says why, in one line without a full stop."""


def cache_path() -> Path:
    """Where torch-fidelity and torchmetrics keep the weights too."""
    return Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS_NAME


def cached_weights() -> Path:
    """The file in torch's hub cache; `UnavailableError` if it is not there."""
    if not cache_path().is_file():
        raise UnavailableError(f"no Inception weights at {cache_path()}")
    return cache_path()


def checked(path: Path) -> Path:
    """`path`, once it is sure that reading it runs no code: torch-fidelity itself unpickles without that limit."""
    try:
        torch.load(path, map_location="meta", weights_only=True)
    except Exception as error:  # whatever a damaged file makes of it
        raise UnavailableError(f"{path} is not a file of weights ({type(error).__name__})") from error
    return path


def fetch(seconds: float) -> Path:
    """The weights' file, downloaded into the hub cache if need be.

    `UnavailableError` if the net is silent for `seconds`; `GANLAB_OFFLINE=1` keeps it from trying.
    """
    if cache_path().is_file():
        return cache_path()
    if os.environ.get("GANLAB_OFFLINE", "0") not in ("", "0"):
        raise UnavailableError("no Inception weights here, and GANLAB_OFFLINE forbids fetching them")
    answer = _attempt(seconds, ADDRESS, cache_path())
    if isinstance(answer, str):
        raise UnavailableError(answer)
    return answer


@lru_cache
def _attempt(seconds: float, address: str, path: Path) -> Path | str:
    """The file, or why there is none; remembered, so that a run without a net waits once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                _download(_connect(address, seconds), path)
        return path
    except (OSError, HTTPException, UnavailableError) as error:
        return f"the Inception weights cannot be fetched ({error})"


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


def _download(source: Any, path: Path) -> None:
    """Into place in one move, and only if the bytes are those the file's name promises."""
    part, hashed = path.with_suffix(f".part{os.getpid()}"), sha256()
    try:
        with source, part.open("wb") as out:
            for piece in _pieces(source):
                hashed.update(piece)
                out.write(piece)
        if not hashed.hexdigest().startswith(path.stem.rsplit("-", 1)[1]):
            raise UnavailableError("what came is not the file asked for")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _pieces(source: Any) -> Iterator[bytes]:
    """What the connection gives, with a progress bar, within the time there is."""
    deadline, total = time.monotonic() + LONGEST_DOWNLOAD, int(source.headers["Content-Length"] or 0) // PIECE
    for piece in progress(iter(lambda: source.read(PIECE), b""), total, "fetching the Inception weights:"):
        if time.monotonic() > deadline:
            raise UnavailableError(f"not done in {LONGEST_DOWNLOAD} s")
        yield piece
