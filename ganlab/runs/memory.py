"""The peak memory of a run: of the process, and of its accelerator."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peaks() -> None:
    """Begin to measure anew, so that a sweep's job does not count the jobs before it. Without Linux, do less."""
    with suppress(OSError):
        CLEAR.write_text("5")  # the peak of resident memory becomes what is resident now
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peaks() -> dict[str, int]:
    """Return the peak memory in bytes: `process`, and `device` if there is an accelerator."""
    found = {"process": _process()}
    if torch.cuda.is_available():
        found["device"] = torch.cuda.max_memory_allocated()
    return found


def _process() -> int:
    with suppress(OSError):
        if peak := re.search(r"VmHWM:\s*(\d+) kB", STATUS.read_text(encoding="ascii")):
            return int(peak[1]) * 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
