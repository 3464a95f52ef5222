"""Run one case in a child process, so that a hang, a crash or a warning is an outcome and not the end of the attack."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from ganlab.errors import UserError


@dataclass(frozen=True)
class Ended:
    """How a case ended. `how`: read, refused, traceback, crash or hang. `words`: its warnings, or its last words."""

    how: str
    words: str = ""
    value: Any = None


def forked(task: Callable[[], Any], limit: float) -> Ended:
    """Return how `task` ended in a forked child, which is killed after `limit` seconds."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(task, there))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads: the child uses none of theirs
        child.start()
    there.close()
    try:
        return here.recv() if here.poll(limit) else Ended("hang", f"longer than {limit} s")
    except EOFError:
        child.join()
        return Ended("crash", f"exit code {child.exitcode}")
    finally:
        if child.is_alive() and child.pid is not None:
            os.kill(child.pid, signal.SIGKILL)
        child.join()


def speak_into(handle: int) -> None:
    """Send what this process says from here on to an open file, whoever has captured its streams."""
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)


def end_with(task: Callable[[], Any]) -> NoReturn:
    """Run a command in a forked child, and end at once with its exit code: 70 after a traceback."""
    code = 70
    try:
        task()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _child(task: Callable[[], Any], pipe: Connection) -> None:
    """Send how the task ended, and end at once: the parent's exit handlers are not the child's."""
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            value = task()
            ended = Ended("read", "\n".join(str(warning.message) for warning in told), value)
        except UserError as error:
            ended = Ended("refused" if "\n" not in str(error) else "traceback", str(error))
        except BaseException:
            ended = Ended("traceback", traceback.format_exc())
    pipe.send(ended)
    os._exit(0)
