"""Ctrl-C: the first asks the run to stop after its iteration, the second stops it at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

ASK = b"\nganlab: stopping after this iteration (Ctrl-C again: at once, without saving)\n"


class Interrupt:
    """While `listening`, SIGINT sets `asked` instead of raising; a second one raises, as it always does otherwise.

    Only in a process's main thread, where signals can be handled; elsewhere it does nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self.listening = False
        self._process = 0
        self._before: Any = None

    def install(self) -> None:
        """Take over SIGINT, and start with a clean slate."""
        self.asked, self._process = False, os.getpid()
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._handle)

    def remove(self) -> None:
        """Hand SIGINT back to whoever had it."""
        self.listening = False
        if self._before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._before)
        self._before = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a data worker inherited this: the process that trains decides
        if self.asked or not self.listening:
            raise KeyboardInterrupt
        self.asked = True
        if os.environ.get("LOCAL_RANK", "0") == "0":
            os.write(2, ASK)  # print may be what was interrupted
