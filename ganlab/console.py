"""Words to a person: one line at a time, and paths as they would type them."""

from __future__ import annotations

import shlex
import sys
from functools import cache
from pathlib import Path


def say(line: str) -> None:
    """One line to a person, above the progress bar if there is one."""
    print(line, file=sys.stderr, flush=True)


@cache
def say_once(line: str) -> None:
    """Say a line to a person, unless this process has said it before."""
    say(line)


def from_here(path: Path) -> str:
    """A path to type: relative where it lies below the working folder, and quoted where a shell needs it."""
    path = path.resolve()
    inside = path.is_relative_to(Path.cwd())
    return shlex.quote(str(path.relative_to(Path.cwd()) if inside else path))
