"""What is slow is made once, whoever asks and however many ask at a time; what was cut short leaves nothing."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from ganlab.data import cache
from ganlab.errors import UserError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def arrays(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix != ".lock")


def test_made_once_and_read_from_disk_afterwards(folder: Path) -> None:
    made: list[int] = []
    for _ in range(3):
        array = cache.cached_array("numbers", {"size": 3}, lambda: made.append(1) or np.arange(3))  # type: ignore[func-returns-value]
        assert array.tolist() == [0, 1, 2]
    assert made == [1]
    assert len(arrays(folder)) == 1


def test_other_facts_are_another_array() -> None:
    assert cache.cached_array("numbers", [1], lambda: np.zeros(1)).tolist() == [0]
    assert cache.cached_array("numbers", [2], lambda: np.ones(1)).tolist() == [1]


def test_a_failure_leaves_nothing(folder: Path) -> None:
    def fail() -> np.ndarray:
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        cache.cached_array("numbers", 0, fail)
    assert arrays(folder) == []
    assert cache.cached_array("numbers", 0, lambda: np.arange(2)).tolist() == [0, 1]


def test_an_unwritable_cache_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with pytest.raises(UserError, match="GANLAB_CACHE"):
        cache.cached_path("folder", refuse)


def test_what_is_remembered_needs_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    monkeypatch.setenv("GANLAB_CACHE", str(blocked / "cache"))
    assert cache.remembered_array("numbers", 0, lambda: np.arange(2)).tolist() == [0, 1]


def start(code: str) -> subprocess.Popen[bytes]:
    """Another Python, with the same cache, that runs `code`."""
    lines = "import time; from ganlab.data.cache import cached_path\n" + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", lines])


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.02)


def test_a_killed_writer_leaves_nothing_in_the_way(folder: Path) -> None:
    process = start("""
        def write(part):
            part.write_bytes(b"half")
            time.sleep(60)
        cached_path("thing", write)
    """)
    wait_for(folder / "thing.part")
    process.kill()
    process.wait()
    assert not (folder / "thing").exists()
    assert cache.cached_path("thing", lambda part: part.write_text("whole") and None).read_text() == "whole"
    assert [path.name for path in arrays(folder)] == ["thing"]


def test_processes_that_start_together_make_it_once(folder: Path) -> None:
    code = """
        def write(part):
            time.sleep(0.5)
            part.mkdir()
            with (part.parent / "made").open("a") as file:
                file.write("x")
        cached_path("shared", write)
    """
    processes = [start(code), start(code)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert (folder / "made").read_text() == "x"
    assert (folder / "shared").is_dir()
