"""A progress bar for slow work that is done once; without a terminal, a line from time to time. Stderr only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")
QUIET = 5.0  # seconds between lines without a terminal: a log stays readable, and quick work prints nothing


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Yield the same items, counted on stderr: `what 1200/4495`."""
    console = Console(stderr=True)
    if console.is_terminal:
        yield from track(items, description=what, total=total, console=console, transient=True)
    else:
        yield from _lines(items, total, what)


def _lines(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    said = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - said > QUIET:
            said = time.monotonic()
            print(f"{what} {done}/{total}", file=sys.stderr, flush=True)
        yield item
