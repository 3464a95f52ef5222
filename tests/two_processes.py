"""A test file's own `main` in two processes that train together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch


def found_by_two(script: str, folder: Path, port: int, **environment: str) -> list[dict[str, Any]]:
    """Run the script with `folder` as rank 0 and 1 of one run, and return what each stored in `<rank>.pt`.

    Both must end well. What they said is shown if one does not.
    """
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    shared = {"PYTHONPATH": path, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    shared["OMP_NUM_THREADS"] = "1"
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", script, str(folder)],
            env={**os.environ, **shared, **environment, "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=300)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], "\n".join(said)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]
