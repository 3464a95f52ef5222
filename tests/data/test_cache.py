"""What is slow is made once, whoever asks and however many ask at a time; what was cut short leaves nothing."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from ganlab.data import cache, seal
from ganlab.data.seal import seal_of
from ganlab.errors import UserError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def arrays(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix not in (".lock", ".seal"))


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


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "delete", "no seal", "torn seal"])
def test_a_harmed_file_is_made_again(folder: Path, harm: str) -> None:
    cache.cached_array("numbers", 0, lambda: np.arange(500))
    (path,) = arrays(folder)
    harmed(path, harm)
    assert cache.cached_array("numbers", 0, lambda: np.arange(500) + 1).tolist() == list(range(1, 501))
    assert cache.cached_array("numbers", 0, lambda: np.zeros(1)).tolist() == list(range(1, 501))


def harmed(path: Path, harm: str) -> None:
    """Do to a cached file what power cuts and bad disks do."""
    whole = path.read_bytes()
    if harm == "cut":
        path.write_bytes(whole[:-100])
    elif harm == "flip":
        path.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "delete":
        path.unlink()
    elif harm == "no seal":
        seal_of(path).unlink()
    else:
        seal_of(path).write_text('{".": [')


def test_a_harmed_folder_is_made_again(folder: Path) -> None:
    def write(part: Path) -> None:
        (part / "in").mkdir(parents=True)
        (part / "in" / "one").write_text("whole")

    path = cache.cached_path("thing", write)
    (path / "in" / "one").write_text("whol3")
    (path / "more").touch()
    assert (cache.cached_path("thing", write) / "in" / "one").read_text() == "whole"
    assert not (path / "more").exists()


def test_a_large_file_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 4 bytes, 16 bytes in all: of 64 bytes, bytes 0-3, 16-19, 32-35 and 48-51."""
    monkeypatch.setattr(seal, "BLOCK", 4)
    monkeypatch.setattr(seal, "READ", 16)
    path = tmp_path / "large"
    path.write_bytes(bytes(64))
    before = seal.checksum(path)
    path.write_bytes(bytes(33) + b"x" + bytes(30))
    assert seal.checksum(path) != before
    path.write_bytes(bytes(8) + b"x" + bytes(55))
    assert seal.checksum(path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_one_line_that_says_how_much(folder: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(
            UserError, match=r"numbers-.*needs 804\.1 kB and .* are free .*GANLAB_CACHE=FOLDER"
        ) as caught:
            cache.cached_array("numbers", 0, lambda: np.zeros(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert arrays(folder) == []


def test_an_error_of_another_file_is_not_the_caches(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        cache.cached_path("thing", lambda _: (tmp_path / "nowhere").read_bytes() and None)


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
    cache.cached_path("another", lambda part: part.write_text("made meanwhile") and None)
    assert (folder / "thing.part").exists()
    process.kill()
    process.wait()
    cache.cached_path("third", lambda part: part.write_text("sweeps") and None)
    assert not (folder / "thing.part").exists()
    assert not (folder / "thing").exists()
    assert cache.cached_path("thing", lambda part: part.write_text("whole") and None).read_text() == "whole"
    assert [path.name for path in arrays(folder)] == ["another", "thing", "third"]


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
