"""What a command does before torch is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ganlab.config.before_imports import let_threads_sleep


def test_idle_threads_sleep_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    let_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    let_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have another OpenMP")
def test_torch_of_a_command_sees_the_policy() -> None:
    """OpenMP prints what it has read when it is loaded."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    words = ["recipe=ring", "trainer.max_steps=1", "trainer.accelerator=gpu"]  # refused, after torch is loaded
    environment["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, "-m", "ganlab.fit", *words]
    found = subprocess.run(
        command, env={**environment, "OMP_DISPLAY_ENV": "verbose"}, capture_output=True, text=True, timeout=120
    )
    assert "GOMP_SPINCOUNT = '0'" in found.stderr
