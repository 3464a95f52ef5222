"""Folders of pairs: both layouts, both directions, given and drawn splits, and what is wrong with a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.data.pairs import PairsData
from ganlab.errors import UserError


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    folder.mkdir()
    return folder


def grey(level: int, width: int = 20, height: int = 20) -> Image.Image:
    return Image.new("L", (width, height), level)


def beside(path: Path, left: int, right: int) -> None:
    sheet = grey(left, 40)
    sheet.paste(grey(right), (20, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def apart(root: Path, name: str, first: int, second: int, under: str = "{side}/{name}") -> None:
    for side, level in (("A", first), ("B", second)):
        path = root / under.format(side=side, name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        grey(level).save(path)


def opened(root: Path, **settings: object) -> PairsData:
    data = PairsData(root, **{"size": 8, **settings})  # type: ignore[arg-type]
    data.setup()
    return data


def levels(data: PairsData) -> list[tuple[int, int]]:
    """(condition, picture) of every pair of both splits, sorted."""
    parts = (data.train, data.reference)
    found = [
        (int(given[0, 4, 4]), int(wanted[0, 4, 4]))
        for part in parts
        for given, wanted in zip(part.condition, part.images, strict=True)  # type: ignore[arg-type]
    ]
    return sorted(found)


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
@pytest.mark.parametrize("layout", ["side by side", "apart"])
def test_both_layouts_and_directions(root: Path, layout: str, direction: str) -> None:
    for i in range(12):
        if layout == "apart":
            apart(root, f"{i}.png", i, 100 + i)
        else:
            beside(root / f"{i}.png", i, 100 + i)
    data = opened(root, direction=direction)
    expected = [(i, 100 + i) for i in range(12)]
    assert levels(data) == (expected if direction == "AtoB" else [(b, a) for a, b in expected])
    assert data.spec.kind == "image"
    assert data.spec.shape == data.train.shape == (3, 8, 8)
    assert 1 <= len(data.reference) <= 5


@pytest.mark.parametrize("under", ["{side}/SPLIT/{name}", "SPLIT/{side}/{name}"])
def test_train_and_test_may_lie_in_a_and_b_or_hold_them(root: Path, under: str) -> None:
    for split, start in (("train", 0), ("test", 50)):
        for i in range(4):
            apart(root, f"{i}.png", start + i, 100 + start + i, under.replace("SPLIT", split))
    data = opened(root)
    assert sorted(int(image[0, 0, 0]) for image in data.reference.images) == [150, 151, 152, 153]
    assert len(data.train) == 4
    assert levels(data) == [(a, 100 + a) for a in (0, 1, 2, 3, 50, 51, 52, 53)]


def test_train_and_test_of_files_side_by_side(root: Path) -> None:
    for i in range(4):
        beside(root / "train" / f"{i}.png", i, 100 + i)
    beside(root / "test" / "x.png", 50, 150)
    data = opened(root)
    assert list(data.reference.keys or ()) == ["test/x.png"]
    assert (len(data.train), len(data.reference)) == (4, 1)


def test_partners_may_have_different_suffixes(root: Path) -> None:
    for i in range(3):
        apart(root, f"{i}.png", i, 100 + i)
        (root / "B" / f"{i}.png").unlink()
        grey(100 + i).save(root / "B" / f"{i}.bmp")
    assert levels(opened(root)) == [(i, 100 + i) for i in range(3)]


def test_grey_pairs_have_one_channel_each(root: Path) -> None:
    for i in range(3):
        beside(root / f"{i}.png", i, 100 + i)
    data = opened(root, channels=1)
    assert data.spec.shape == (1, 8, 8)
    assert torch.as_tensor(data.train.condition).shape[1:] == (1, 8, 8)


def test_memory_is_mapped_and_shared(root: Path) -> None:
    """Neither the pictures nor the conditions are copied out of the cache's file."""
    for i in range(6):
        beside(root / f"{i}.png", i, 100 + i)
    data = opened(root)
    assert isinstance(data.train.images, np.memmap)
    assert isinstance(data.train.condition, torch.Tensor)
    start = data.train.images.__array_interface__["data"][0]
    assert start - data.train.condition.data_ptr() == 3 * 8 * 8  # A's three channels come before B's


def test_a_change_in_either_file_is_seen(root: Path) -> None:
    for i in range(3):
        apart(root, f"{i}.png", i, 100 + i)
    opened(root)
    grey(200, 22, 22).save(root / "B" / "1.png")
    grey(1, 22, 22).save(root / "A" / "1.png")
    assert levels(opened(root))[1] == (1, 200)


def test_a_missing_partner_is_named(root: Path) -> None:
    for i in range(3):
        apart(root, f"{i}.png", i, 100 + i)
    (root / "B" / "1.png").unlink()
    grey(7).save(root / "B" / "9.png")
    with pytest.raises(UserError, match=r"without a partner of the same name in A and B: A/1\.png, B/9\.png$"):
        opened(root)


def test_partners_of_different_sizes_are_named(root: Path) -> None:
    for i in range(3):
        apart(root, f"{i}.png", i, 100 + i)
    grey(7, 20, 30).save(root / "B" / "1.png")
    with pytest.raises(UserError, match=r"A/1\.png is 20 x 20 and .*B/1\.png is 20 x 30: a pair must be of one size"):
        opened(root)


@pytest.mark.parametrize("size", [(41, 20), (20, 20)])
def test_a_file_that_cannot_hold_two_is_named(root: Path, size: tuple[int, int]) -> None:
    beside(root / "good.png", 1, 2)
    grey(3, *size).save(root / "odd.png")
    with pytest.raises(UserError, match=rf"odd\.png is {size[0]} x {size[1]}: two pictures side by side"):
        opened(root)


def test_a_loose_picture_beside_a_and_b_is_named(root: Path) -> None:
    apart(root, "0.png", 1, 2)
    grey(3).save(root / "loose.png")
    with pytest.raises(UserError, match=r"folders A and B, and loose\.png lies in neither"):
        opened(root)


def test_a_broken_pair_is_left_out_and_named(root: Path) -> None:
    for i in range(5):
        apart(root, f"{i}.png", i, 100 + i)
    (root / "B" / "2.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"A/2\.png \(.*B/2\.png: cannot identify"):
        data = opened(root)
    assert levels(data) == [(i, 100 + i) for i in (0, 1, 3, 4)]


def test_bad_settings(root: Path) -> None:
    with pytest.raises(UserError, match="`direction` must be AtoB or BtoA, got 'left'"):
        PairsData(root, direction="left")
    with pytest.raises(UserError, match="which is not there: pass data"):
        opened(root / "nowhere")
