"""Prepare a command before it imports any package: its search path, and how torch's threads wait.

`python -m` puts the working folder first on `sys.path`. A folder named `torch` in it would be imported as torch.
Each command imports this module first. It moves the working folder to the end of the path: installed packages come
first, and modules in the working folder are still found. The standard library is not covered.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def move_last(path: list[str]) -> None:
    """Move the first entry of a search path to its end if it is the working folder.

    >>> path = ["", "/usr/lib/python3"]
    >>> move_last(path)
    >>> path
    ['/usr/lib/python3', '']
    """
    if path and path[0] in ("", str(Path.cwd())):
        path.append(path.pop(0))


def add_last(path: list[str]) -> None:
    """Add the working folder to the end of a search path that does not have it: the console script's.

    >>> path = ["/usr/lib/python3"]
    >>> add_last(path)
    >>> len(path)
    2
    """
    if not {"", str(Path.cwd())} & set(path):
        path.append(str(Path.cwd()))


def started_as_command() -> bool:
    """Return whether the program was started by `python -m ganlab...`."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name.startswith("ganlab.")


def let_threads_sleep() -> None:
    """Let idle threads of torch sleep instead of spin, unless the environment says how they wait.

    OpenMP reads this when torch is loaded. If two threads spin and another program takes a core, each waits for a
    thread that does not run, and training is several times slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


if started_as_command():
    move_last(sys.path)
    let_threads_sleep()
