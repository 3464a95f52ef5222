"""Runs that torchrun starts: two agents, as on two machines. They need no `run_dir`. A killed process comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ganlab.core.checkpoints import read_checkpoint
from ganlab.files.run_folder import RunFolder

RING = (
    *("recipe=ring", "trainer.num_nodes=2", "trainer.accelerator=cpu", "trainer.max_steps=40"),
    *("callbacks.checkpoints.every=10", "callbacks.quality=null", "callbacks.collapse=null"),
)


def torchrun(folder: Path, port: int, *words: str, restarts: int = 0) -> list[tuple[int, str]]:
    """Return the exit codes and errors of two agents with one process each, which work in `folder`."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(Path(__file__).parent.parent)]))
    agent = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    agent += ["--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{port}", f"--max-restarts={restarts}"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    agents: list[subprocess.Popen[str]] = [
        subprocess.Popen(  # type: ignore[call-overload]
            [*agent, f"--node-rank={rank}", "-m", "ganlab.fit", *RING, *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
            **pipes,
        )
        for rank in range(2)
    ]
    try:
        errors = [each.communicate(timeout=200)[1] for each in agents]
    finally:
        for each in agents:
            each.kill()
    return [(each.returncode, error) for each, error in zip(agents, errors, strict=True)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(read_checkpoint(RunFolder(folder).last())["state_dict"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Path:
    """The folder in which an undisturbed run without `run_dir` was started."""
    folder = tmp_path_factory.mktemp("whole")
    ended = torchrun(folder, free_port())
    assert [code for code, _ in ended] == [0, 0], ended
    return folder


def test_the_first_process_chooses_the_folder(whole: Path) -> None:
    """One run, in which the pictures of both processes are counted."""
    assert [path.name for path in (whole / "runs" / "ring").iterdir()] == ["0"]
    content = read_checkpoint(RunFolder(whole / "runs" / "ring" / "0").last())
    assert content["ganlab"]["images_seen"] == 40 * 64 * 2


def test_a_killed_process_is_started_again_and_the_run_ends_with_the_same_weights(
    whole: Path, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    dying = ["rank=1", "how=KILL", "when=iteration", "after=25", "_target_=dying.Dying"]
    words = ["run_dir=run", "resume=auto", *(f"+callbacks.dying.{word}" for word in dying)]
    ended = torchrun(tmp_path, free_port(), *words, restarts=2)
    assert [code for code, _ in ended] == [0, 0], ended
    assert any("exitcode: -9" in error for _, error in ended)
    one, other = weights(whole / "runs" / "ring" / "0"), weights(tmp_path / "run")
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_another_number_of_processes_than_the_settings_say(tmp_path: Path, free_port: Callable[[], int]) -> None:
    ended = torchrun(tmp_path, free_port(), "trainer.devices=2")
    assert all(code for code, _ in ended)
    assert "2 processes were started, and `trainer.devices` x `trainer.num_nodes` is 4" in ended[0][1]
