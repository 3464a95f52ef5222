"""Grids of runs for benchmarks: train a cell by `python -m ganlab.fit`, and keep the files that tables need."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

KEPT = ("recipe.yaml", "metrics.csv", "summary.json")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def is_done(results: Path) -> bool:
    """Return whether a cell's results are there. The summary is written last."""
    return (results / "summary.json").is_file()


def train(words: Sequence[str], run: Path, results: Path) -> None:
    """Train a run on one thread and keep its files in `results`. Print a line, and the errors if it fails."""
    shutil.rmtree(run, ignore_errors=True)  # what a stopped command has left
    command = [sys.executable, "-m", "ganlab.fit", *words, f"run_dir={run}"]
    started = time.time()
    done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True)
    if done.returncode:
        print(f"{run} failed: {shlex.join(command)}\n{done.stderr[-2000:]}", flush=True)
        return
    keep(run, results)
    print(f"{run} {time.time() - started:.0f} s", flush=True)


def keep(run: Path, results: Path) -> None:
    """Copy the files that tables need, the summary last. Paths become relative to the working folder."""
    results.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        text = (run / name).read_text(encoding="utf-8").replace(f"{Path.cwd()}/", "")
        lines = [line for line in text.splitlines() if not line.startswith("# sha256")]  # of the text before
        (results / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def between(text: str, start: str, end: str, content: str) -> str:
    """Return the text with `content` between two of its lines.

    >>> between("a\\n<!-- x -->\\nold\\n<!-- y -->\\nb\\n", "<!-- x -->", "<!-- y -->", "new")
    'a\\n<!-- x -->\\n\\nnew\\n\\n<!-- y -->\\nb\\n'
    """
    before, rest = text.split(start)
    return f"{before}{start}\n\n{content}\n\n{end}{rest.split(end)[1]}"
