"""One writer a run."""

import os
import subprocess
import sys
import time

import pytest

from ganlab.errors import UserError
from ganlab.files.lock import sole_writer

HOLD = "import sys, time; from pathlib import Path; from ganlab.files.lock import sole_writer\n"
HOLD += "with sole_writer(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def test_a_second_writer_is_told_who_the_first_is(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.yaml").touch()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with (
            pytest.raises(UserError, match=f"is being written by process {process.pid} on"),
            sole_writer(tmp_path / "run"),
        ):
            pass
        process.kill()
        process.wait()
        started = time.monotonic()
        with sole_writer(run):  # what a killed process held is free
            assert str(os.getpid()) in (run / ".writer").read_text()
    assert time.monotonic() - started < 5
    assert (run / "recipe.yaml").exists()


def test_a_folder_in_which_nothing_was_written_goes_again(tmp_path):
    (tmp_path / "run").mkdir()
    with sole_writer(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()
