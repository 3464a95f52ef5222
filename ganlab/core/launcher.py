"""Start and end of the processes of one run.

If one process ends early, the others cannot continue. They end too, with one line that says how to continue the run,
and without the traceback of the exchange that failed. No process of a run outlives the first one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.distributed import _set_num_threads_if_needed
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from ganlab.config.cli import program
from ganlab.console import from_here, say
from ganlab.files.run_folder import RunFolder
from ganlab.processes import PeerLost, is_lost, limit

PATIENCE = 10  # seconds that a process has to end by itself after another one has
POLL = 0.2  # seconds


class Launcher(_SubprocessScriptLauncher):
    """Lightning's launcher, which starts the other processes of this machine. This subclass also ends all of them.

    Lightning's own observer kills the first process without a message if another one fails.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._parent = os.getppid()  # the first process, if that started this one; it speaks for all while it lives

    def launch(self, function: Callable[..., Any], *args: Any, trainer: pl.Trainer | None = None, **kwargs: Any) -> Any:
        """Start the processes, run `function` in each, and return the main process's result."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()
        _set_num_threads_if_needed(num_processes=self.num_processes)
        done = threading.Event()
        threading.Thread(target=self._watch, args=(trainer, done), daemon=True).start()
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if is_lost(error):
                raise PeerLost(self._last_words(trainer, error)) from error
            self.kill(signal.SIGKILL)
            raise
        finally:
            done.set()

    def _watch(self, trainer: pl.Trainer | None, done: threading.Event) -> None:
        """End this process if another one failed and this one does not notice in time."""
        while not any(self._codes()):
            if done.wait(POLL):
                return
        if not done.wait(PATIENCE):
            say(f"{program()}: {self._last_words(trainer)}")
            os._exit(1)

    def _last_words(self, trainer: pl.Trainer | None, error: Exception | None = None) -> str:
        """Return the cause of the failure and how to continue. Kill the remaining processes."""
        _until(lambda: any(self._codes()) or (not self.procs and os.getppid() != self._parent), PATIENCE)
        codes = self._codes()
        self.kill(signal.SIGKILL)
        return f"{_what_happened(codes, error)}; {_how_to_go_on(trainer)}"

    def _codes(self) -> list[int | None]:
        """Return the exit codes of the processes that this one started, None for those that run."""
        return [process.poll() for process in self.procs]


def _what_happened(codes: list[int | None], error: Exception | None) -> str:
    for rank, code in enumerate(codes, start=1):
        if code:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            return f"process {rank} of {len(codes) + 1} of the run {how}"
    if "timed out" in str(error).lower():
        return f"another process of the run has not answered for {limit():.0f} s (GANLAB_TIMEOUT is how long to wait)"
    return "another process of the run ended"


def _how_to_go_on(trainer: pl.Trainer | None) -> str:
    folder = RunFolder(Path(trainer.default_root_dir if trainer else "."))
    if not folder.last_file.is_file():
        return "nothing was saved yet"
    return f"go on with python -m ganlab.fit resume={from_here(folder.path)}"


def _until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until the condition holds, for at most `seconds`."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(POLL)
