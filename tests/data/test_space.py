"""Room is reserved before a memory map is written to: a full disk is a message, not a signal."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ganlab.data import space
from ganlab.data.budget import Budget
from ganlab.errors import UserError


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "disk", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_one_line(disk: Path) -> None:
    with pytest.raises(
        UserError, match=r"a\.npy: it needs 3\.0 MB and 1\.0 MB are free .*GANLAB_CACHE=FOLDER"
    ) as caught:
        space.new_array(disk / "a.npy", (1000, 3, 1000))
    assert "\n" not in str(caught.value)


def test_what_fits_is_reserved_and_can_be_written(disk: Path) -> None:
    images = space.new_array(disk / "a.npy", (300, 1000))
    assert (disk / "a.npy").stat().st_blocks * 512 >= 300_000
    images[:] = 7
    images.flush()
    assert (np.load(disk / "a.npy") == 7).all()


@pytest.mark.parametrize("error", [OSError(errno.EOPNOTSUPP, "no"), AttributeError()])
def test_room_is_made_where_none_can_be_reserved(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise error

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    images = space.new_array(tmp_path / "a.npy", (3, 2**20))
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= 3 * 2**20
    assert np.load(tmp_path / "a.npy").shape == images.shape


def test_a_budget_is_never_overspent() -> None:
    """Ten threads that want 4 of 10 each: two at a time."""
    budget, held, most = Budget(10), [0], [0]

    def work() -> None:
        with budget.spend(4):
            held[0] += 1
            most[0] = max(most[0], held[0])
            assert budget.left >= 0
            threading.Event().wait(0.01)
            held[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2
    assert budget.left == 10
