"""Files that are replaced whole, or stay as they were."""

import os

import pytest

from ganlab.files.durable import atomic_write, replacing, sweep


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = atomic_write(tmp_path / "deep" / "x.txt", "old")

    def fail(handle):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        atomic_write(file, b"new")
    assert [path.name for path in file.parent.iterdir()] == ["x.txt"] and file.read_text() == "old"


def test_files_are_readable_as_others_are(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    assert atomic_write(tmp_path / "x", "é").stat().st_mode == plain.stat().st_mode


def test_what_is_replaced_remains_where_it_is_told(tmp_path):
    file, previous = tmp_path / "last", tmp_path / "previous"
    for content in ("1", "2", "3"):
        with replacing(file, keep=previous) as handle:
            handle.write(content.encode())
    assert (file.read_text(), previous.read_text()) == ("3", "2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", "previous"]


def test_without_hard_links_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    test_what_is_replaced_remains_where_it_is_told(tmp_path)


def test_an_error_names_the_file(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"x\.txt") as caught:
        atomic_write(tmp_path / "file" / "x.txt", "content")
    assert caught.value.errno


def test_leftovers_of_killed_writes_are_swept_and_nothing_else(tmp_path):
    context = replacing(tmp_path / "deep" / "x.ckpt")
    context.__enter__().write(b"half")  # a process that is killed here never leaves the block
    (tmp_path / ".hidden").touch()
    (tmp_path / "mine.part").touch()
    assert sweep(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [".hidden", "mine.part"]
