"""What lies in a folder is found or left out with a reason; nothing is opened, so nothing can block."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ganlab.data import walk
from ganlab.data.walk import listing, some
from ganlab.errors import UserError


def test_what_is_no_file_is_left_out_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "good.png").touch()
    (tmp_path / "linked.png").symlink_to("good.png")
    os.mkfifo(tmp_path / "fifo.png")
    os.mkfifo(tmp_path / "metadata.jsonl")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "dangling.png").symlink_to("nowhere")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "sub").symlink_to("/usr")
    (tmp_path / "a.heic").touch()
    found = listing(tmp_path)
    assert found.pictures == ["good.png", "linked.png"]
    assert {name: reason.split(":")[0] for name, reason in found.left_out.items()} == {
        "a.heic": "a format that is not read",
        "dangling.png": "a broken link",
        "device.png": "a device, not a file",
        "fifo.png": "a FIFO, not a file",
        "loop.png": "a broken link",
        "metadata.jsonl": "a FIFO, not a file",
        "sub": "a link to a folder, which is not followed",
    }


def test_names_that_are_not_utf8_are_left_out(tmp_path: Path) -> None:
    for name in (b"\xff.png", b"fold\xffer/a.png", b"good.png"):
        path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        os.close(os.open(path, os.O_CREAT))
    found = listing(tmp_path)
    assert found.pictures == ["good.png"]
    assert len(found.left_out) == 2
    assert all("UTF-8" in reason for reason in found.left_out.values())


def test_a_folder_that_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own answer is put in place: for root, every folder opens."""
    for folder in ("closed", "open"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").touch()
    entries = walk._entries

    def refuse(folder: Path | str) -> list[os.DirEntry[str]]:
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return entries(folder)

    monkeypatch.setattr(walk, "_entries", refuse)
    found = listing(tmp_path)
    assert found.pictures == ["open/a.png"]
    assert found.left_out == {"closed/": "the folder cannot be opened: Permission denied"}


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert listing(tmp_path).left_out == {"a.png": "you may not read it"}


def test_a_folder_may_look_like_a_picture_and_lie_deep(tmp_path: Path) -> None:
    deep = tmp_path.joinpath("x.png", *["d"] * 200)
    deep.mkdir(parents=True)
    (deep / "a.PNG").touch()
    assert [Path(path).name for path in listing(tmp_path).pictures] == ["a.PNG"]


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "not there"), ("file", "a file"), ("x" * 300, "too long")])
def test_a_root_that_is_no_folder(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=f"`root` must be a folder of pictures, got .*{reason}"):
        listing(tmp_path / name)


def test_odd_names_are_quoted_in_messages() -> None:
    assert some(["a b.png", "line\nbreak.png", "\x1b[31m.png"]) == r"a b.png, 'line\nbreak.png', '\x1b[31m.png'"
