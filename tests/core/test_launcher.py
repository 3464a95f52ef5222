"""Two real processes of one run, one of which ends early: the other ends too, in one line, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ganlab.core.checkpoints import read_checkpoint
from ganlab.core.launcher import _what_happened
from ganlab.files.run_folder import RunFolder
from ganlab.processes import PeerLost, is_lost

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """start(words): `python -m ganlab.fit` in a process group of its own, in which `dying.Dying` can be imported."""
    running: list[subprocess.Popen[str]] = []
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(Path(__file__).parent.parent)]))

    def begin(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ganlab.fit", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        running.append(subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes))  # type: ignore[call-overload]
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("rank", "how", "when", "code", "said"),
    [
        (0, "KILL", "iteration", -signal.SIGKILL, "another process of the run ended"),
        (1, "raise", "saving", 1, "process 1 of 2 of the run ended with exit code 1"),
    ],
)
def test_the_other_process_ends_in_one_line(
    start: Start, tmp_path: Path, rank: int, how: str, when: str, code: int, said: str
) -> None:
    """`communicate` returns once nobody holds the pipes any more: no process is left."""
    dying = [f"rank={rank}", f"how={how}", f"when={when}", "_target_=dying.Dying"]
    process = start(
        *("recipe=ring", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.max_steps=30", "run_dir=run"),
        *("callbacks.checkpoints.every=10", *(f"+callbacks.dying.{word}" for word in dying)),
    )
    _, errors = process.communicate(timeout=100)
    assert process.returncode == code, errors
    others = (
        "Initializing",
        "Error executing job",
        "[rank1]",
        "ganlab: ring into run",
        "  ",
    )  # the last two open a run
    own = [line for line in errors.splitlines() if not line.startswith(others)]
    assert own == [f"ganlab.fit: {said}; go on with python -m ganlab.fit resume=run"]
    assert (how == "raise") == ("ArithmeticError: two and two are five" in errors)
    assert read_checkpoint(RunFolder(tmp_path / "run").last())["ganlab"]["iteration"] == 10


def test_words_for_a_process_that_was_killed() -> None:
    assert _what_happened([None, -signal.SIGKILL], None) == "process 2 of 3 of the run was ended by SIGKILL"


def test_words_for_a_process_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLAB_TIMEOUT", "20")
    error = RuntimeError("[/x/gloo/transport/tcp/unbound_buffer.cc:84] Timed out waiting 20000ms for recv operation")
    assert is_lost(error)
    assert _what_happened([None], error) == (
        "another process of the run has not answered for 20 s (GANLAB_TIMEOUT is how long to wait)"
    )


def test_an_error_of_ones_own_stays_what_it_is() -> None:
    assert not is_lost(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_lost(PeerLost("the run ended"))
