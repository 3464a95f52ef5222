"""Print messages to the user: one line at a time, with paths that can be typed."""

from __future__ import annotations

import shlex
import sys
from functools import cache
from pathlib import Path


def say(line: str) -> None:
    """Print one line to the user, on standard error."""
    print(line, file=sys.stderr, flush=True)


@cache
def say_once(line: str) -> None:
    """Print one line to the user, unless this process has printed it before."""
    say(line)


def from_here(path: Path) -> str:
    """Return a path to type: relative if it is below the working folder, quoted if a shell needs it."""
    path = path.resolve()
    inside = path.is_relative_to(Path.cwd())
    return shlex.quote(str(path.relative_to(Path.cwd()) if inside else path))
