"""A folder as people have it: nested, captioned or classed, with something broken in it."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganlab.data.files import decode_all
from ganlab.data.folder import FolderData
from ganlab.errors import UserError


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def fill(root: Path, names: Mapping[str, int] | list[str]) -> None:
    """One grey picture a name; its level is the name's number (or place) so that it can be recognised."""
    levels = names if isinstance(names, Mapping) else {name: i for i, name in enumerate(names)}
    for name, level in levels.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20 + level % 7, 16), level).save(path)


def opened(root: Path, **settings: object) -> FolderData:
    data = FolderData(root, **{"size": 8, **settings})  # type: ignore[arg-type]
    data.setup()
    return data


def shown(pictures: np.ndarray) -> list[int]:
    return np.asarray(pictures)[:, 0, 4, 4].tolist()


def test_pictures_alone(root: Path) -> None:
    fill(root, [f"all/{i // 10}.d/{i}.png" if i % 2 else f"all/{i}.png" for i in range(40)])
    data = opened(root)
    assert data.spec.kind == "none"
    assert data.spec.shape == data.train.shape == (3, 8, 8)
    assert isinstance(data.train.images, np.memmap)
    assert sorted(shown(data.train.images) + shown(data.reference.images)) == list(range(40))
    assert len(data.reference) in range(1, 12)  # a tenth of 40, give or take


def test_grey_on_request(root: Path) -> None:
    fill(root, ["a.png", "b.png", "c.png"])
    assert opened(root, channels=1).spec.shape == (1, 8, 8)


def test_the_split_does_not_move_when_pictures_come_or_seeds_change(root: Path) -> None:
    fill(root, [f"{i}.png" for i in range(60)])
    before = shown(opened(root).reference.images)
    Image.new("L", (9, 9), 200).save(root / "new.png")
    after = shown(opened(root, seed=3).reference.images)
    assert set(after) - {200} == set(before)


def test_captions_belong_to_their_pictures(root: Path) -> None:
    fill(root, {f"{i}.png": i for i in range(20)})
    for i in range(20):
        (root / f"{i}.txt").write_text(f"level {i}\nnumber {i}" if i == 3 else f"level {i}")
    data = opened(root)
    assert data.spec.kind == "text"
    assert {"level", "number"} <= set(data.spec.vocabulary)
    assert data.spec.prompts
    for part in (data.train, data.reference):
        assert part.condition == [f"level {level}" for level in shown(part.images)]  # type: ignore[arg-type]


def test_subfolders_are_classes(root: Path) -> None:
    fill(
        root, {f"{name}/more/{i}.png": 100 * number + i for number, name in enumerate(("cat", "dog")) for i in range(9)}
    )
    data = opened(root)
    assert data.spec.kind == "class"
    assert data.spec.classes == ("cat", "dog")
    assert data.train.condition.tolist() == [level // 100 for level in shown(data.train.images)]  # type: ignore


def test_train_and_test_folders_are_the_split(root: Path) -> None:
    fill(
        root,
        {
            f"{part}/{name}/{i}.png": 10 * j + i
            for j, part in enumerate(("train", "test"))
            for name in "xy"
            for i in range(4)
        },
    )
    data = opened(root)
    assert data.spec.classes == ("x", "y")
    assert max(shown(data.train.images)) < 10 <= min(shown(data.reference.images))


def test_loose_pictures_mean_no_classes(root: Path) -> None:
    fill(root, ["a/1.png", "b/2.png", "3.png"])
    with pytest.warns(UserWarning, match=r"not taken as classes: 1 pictures lie in none: 3\.png"):
        assert opened(root).spec.kind == "none"


def test_broken_files_are_named_once_and_skipped(root: Path) -> None:
    fill(root, [f"{i}.png" for i in range(20)])
    (root / "3.png").write_bytes(b"not a picture")
    whole = (root / "7.png").read_bytes()
    (root / "7.png").write_bytes(whole[: len(whole) // 2])
    (root / "8.png").write_bytes(b"")
    for _ in range(2):  # the second time from the cache
        with pytest.warns(UserWarning, match="3 of 20 files in .* are broken and left out: .*png") as warned:
            data = opened(root)
        assert len(warned) == 1
        levels = shown(data.train.images) + shown(data.reference.images)
        assert sorted(levels) == [i for i in range(20) if i not in (3, 7, 8)]


def test_what_is_no_picture_file_is_named_once(root: Path) -> None:
    fill(root, ["a.png", "b.png", "c.png"])
    os.mkfifo(root / "d.png")
    (root / "e.png").symlink_to("nowhere")
    with pytest.warns(UserWarning, match=r"2 files or folders in .* are left out: d\.png \(a FIFO.*e\.png \(a broken"):
        assert len(opened(root, held_out=0).train) == 3


def test_a_full_disk_is_one_line_and_leaves_nothing(root: Path, tmp_path: Path) -> None:
    fill(root, [f"{i}.png" for i in range(40)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"images\.npy: it needs 2\.0 MB and .*GANLAB_CACHE=FOLDER"):
            opened(root, size=128)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".lock"}


def test_a_picture_that_vanishes_is_left_out(root: Path) -> None:
    fill(root, ["a.png", "b.png", "c.png"])
    with pytest.warns(UserWarning, match=r"1 of 4 files .*gone\.png \(.*No such file"):
        _, files = decode_all(root, ["a.png", "b.png", "c.png", "gone.png"], FolderData(root, size=8).form)
    assert files == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize("bad", ["", "  ", "a\0b", "a\udcffb"])
def test_a_root_that_is_no_path(bad: str) -> None:
    with pytest.raises(UserError, match="`root` "):
        FolderData(bad)


def test_decoded_once_unless_something_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(root, ["a.png", "b.png", "c.png"])
    opened(root)
    monkeypatch.setattr("ganlab.data.files.decode", lambda *_: pytest.fail("decoded again"))
    opened(root, held_out=0.5, flip=True)
    monkeypatch.undo()
    monkeypatch.setenv("GANLAB_CACHE", str(root.parent / "cache"))
    fill(root, {"a.png": 250})
    data = opened(root)
    assert 250 in shown(data.train.images) + shown(data.reference.images)


@pytest.mark.parametrize("held_out", [0.0, 0.01, 0.9])
def test_small_folders_keep_something_on_both_sides(root: Path, held_out: float) -> None:
    fill(root, ["a.png", "b.png", "c.png"])
    data = opened(root, held_out=held_out)
    assert (len(data.train), len(data.reference)) == ((3, 3) if held_out == 0 else (2, 1))


def _missing(root: Path) -> None:
    root.rmdir()


def _empty(root: Path) -> None:
    (root / "notes.txt").write_text("nothing to see")


def _only_odd(root: Path) -> None:
    os.mkfifo(root / "x.png")
    (root / "a.heic").touch()


def _all_broken(root: Path) -> None:
    (root / "a.png").write_bytes(b"x")


def _no_match(root: Path) -> None:
    fill(root, ["a.png"])
    (root / "captions.csv").write_text("file_name,text\nb.png,pear\n")


def _one(root: Path) -> None:
    fill(root, ["a.png"])


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (_missing, "`root` must be a folder of pictures, got .*photos, which is not there"),
        (_empty, r"`root` must be a folder of pictures \(.*\.png.*\), got .*photos, which has none"),
        (_only_odd, r"\.png.*which has none; 2 files or folders .* are left out: a\.heic \(a format.*x\.png \(a FIFO"),
        (_all_broken, r"`root` has no picture that can be read: a\.png \(cannot identify"),
        (_no_match, r"captions\.csv matches no picture: its entries name b\.png"),
        (_one, "1 training pictures: at least 2"),
    ],
)
def test_what_cannot_be_trained_on_is_one_clear_line(root: Path, prepare: Callable[[Path], None], message: str) -> None:
    prepare(root)
    with pytest.raises(UserError, match=message) as caught:
        opened(root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [{"size": 7}, {"size": 0}, {"channels": 2}, {"held_out": 1.5}])
def test_impossible_settings(root: Path, bad: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"`{next(iter(bad))}` must be"):
        FolderData(root, **bad)  # type: ignore[arg-type]


def test_nothing_broken_is_kept_in_the_cache_when_all_is_broken(root: Path, tmp_path: Path) -> None:
    _all_broken(root)
    with pytest.raises(UserError):
        decode_all(root, ["a.png"], FolderData(root, size=8).form)
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".lock"}
