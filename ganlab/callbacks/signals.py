"""Signals to a run: SIGINT and SIGTERM end it; schedulers send SIGHUP and SIGUSR1 in advance.

A handler only records the signal. `Checkpoints` reads it between two iterations.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

ENDING = ("SIGINT", "SIGTERM")
NOTICES = ("SIGHUP", "SIGUSR1")
ASK = b"\nganlab: stopping after this iteration (Ctrl-C again: at once, without saving)\n"


class Signals:
    """Records signals between `install` and `remove`. A second SIGINT raises `KeyboardInterrupt`.

    It works only in a process's main thread, where Python handles signals. In other threads it does nothing. A signal
    that is ignored (SIGHUP under nohup) stays ignored.
    """

    def __init__(self) -> None:
        self._pending = 0
        self._process = 0
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Install the handlers, with no signal pending."""
        self._pending, self._process, self._before = 0, os.getpid(), {}
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (getattr(signal, name) for name in (*ENDING, *NOTICES) if hasattr(signal, name)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)

    def remove(self) -> None:
        """Restore the previous handlers, except those that have been replaced since."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, before)
        self._before = {}

    def take(self) -> int:
        """Return the number of the pending signal and clear it; 0 if there is none."""
        pending, self._pending = self._pending, 0
        return pending

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a data worker inherited this handler: the training process decides
        if number == signal.SIGINT == self._pending:
            raise KeyboardInterrupt
        if self._pending not in (signal.SIGINT, signal.SIGTERM):
            self._pending = number
        if number == signal.SIGINT and os.environ.get("LOCAL_RANK", "0") == "0":
            os.write(2, ASK)  # the signal may have interrupted print


def is_notice(number: int) -> bool:
    """Return whether a signal is only an advance notice of the end."""
    return signal.Signals(number).name in NOTICES
