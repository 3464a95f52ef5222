"""Arrays, data sets and loaders as data: their forms, their conditions, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from ganlab.data.arrays import ArrayData, as_condition, as_images
from ganlab.data.collecting import collected
from ganlab.errors import UserError

LEVELS = np.arange(4 * 6 * 5 * 3, dtype=np.uint8).reshape(4, 6, 5, 3)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (LEVELS, LEVELS.transpose(0, 3, 1, 2)),
        (LEVELS.transpose(0, 3, 1, 2), LEVELS.transpose(0, 3, 1, 2)),
        (LEVELS[..., 0], LEVELS[:, None, :, :, 0]),
        (torch.from_numpy(LEVELS), LEVELS.transpose(0, 3, 1, 2)),
        (LEVELS / np.float32(127.5) - 1, LEVELS.transpose(0, 3, 1, 2)),
        (LEVELS / 127.5 - 1, LEVELS.transpose(0, 3, 1, 2)),
    ],
    ids=["last", "first", "grey", "tensor", "float32", "float64"],
)
def test_pictures_of_every_form_become_one(given: Any, expected: np.ndarray) -> None:
    found = as_images(given)
    assert found.dtype == torch.uint8 and np.array_equal(found.numpy(), expected)


def test_where_both_readings_are_possible_a_tensor_has_its_channels_first() -> None:
    array = np.zeros((2, 3, 8, 3), np.uint8)
    assert as_images(array).shape == (2, 3, 3, 8) and as_images(torch.from_numpy(array)).shape == (2, 3, 8, 3)


def test_points_stay_as_they_are() -> None:
    points = np.array([[0.0, 100.0], [-3.0, 2.5]])
    assert as_images(points).dtype == torch.float32 and as_images(points).tolist() == points.tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (LEVELS.astype(np.int64), r"got int64: convert to uint8"),
        (LEVELS.astype(np.float32), r"values from 0 to 255: convert to uint8"),
        (LEVELS / 359, r"values from 0 to .*: pass 2 \* images - 1"),
        (LEVELS - 300.0, r"values from -300 to .*: scale them"),
        (np.full((3, 8, 8), np.nan), r"NaN or infinite values in 3 of 3 pictures, first in number 0"),
        (np.array([[0.0, 1.0], [np.inf, 0.0]]), r"NaN or infinite values in 1 of 2 points, first in number 1"),
        (np.zeros((3, 8, 8, 9), np.uint8), r"1 to 4 channels, first or last, got pictures of shape \(8, 8, 9\)"),
        (np.zeros(3), r"got an array of shape \(3,\)"),
        (np.zeros((3, 8, 8), bool), r"whole numbers or floats, got bool"),
        (np.array(["a"]), r"an array of numbers, got a ndarray"),
    ],
)
def test_what_is_neither_pictures_nor_points_is_refused(given: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"^`data` .*{message}") as refusal:
        as_images(given)
    assert "\n" not in str(refusal.value)


def test_labels_and_captions() -> None:
    assert as_condition(None, 2) is None
    assert as_condition(["a dog", "a cat"], 2) == ["a dog", "a cat"]
    labels = as_condition(np.array([1, 0], np.uint8), 2)
    assert isinstance(labels, Tensor) and labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0], "has 2 pictures but 1 labels"),
        ([0.5, 1.0], "whole numbers of at least 0"),
        ([-1, 0], "the least -1"),
        (np.eye(2), r"of shape \(2, 2\)"),
    ],
)
def test_wrong_labels_are_refused(given: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"^`data` .*{message}"):
        as_condition(given, 2)


# The data module --------------------------------------------------------------------------------------------------


def many(count: int = 100) -> np.ndarray:
    return np.arange(count, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)


def loaded(*args: Any, **kwargs: Any) -> ArrayData:
    data = ArrayData(*args, **kwargs)
    data.setup()
    return data


def test_a_part_is_held_out_always_the_same() -> None:
    first, second = loaded(many(), held_out=0.2), loaded(many(), held_out=0.2, seed=5)
    parts = [set(one.get(slice(None))[:, 0, 0, 0].tolist()) for one in (first.train, first.reference)]
    assert parts[0] | parts[1] == set(range(100)) and not parts[0] & parts[1] and 10 <= len(parts[1]) <= 30
    assert torch.equal(first.reference.get(slice(None)), second.reference.get(slice(None)))
    whole = loaded(many(), held_out=0.0)
    assert len(whole.train) == 100 and whole.reference is whole.train


def test_labels_stay_with_their_pictures() -> None:
    data = loaded(many(), np.arange(100) % 3, classes=["a", "b", "c"])
    assert data.spec.classes == ("a", "b", "c") and data.spec.kind == "class"
    for part in (data.train, data.reference):
        assert isinstance(part.condition, Tensor)
        assert torch.equal(part.condition, part.get(slice(None))[:, 0, 0, 0].long() % 3)
    with pytest.raises(UserError, match=r"^`data.classes` names 2 classes, and labels go up to 2"):
        loaded(many(), np.arange(100) % 3, classes=["a", "b"])


@pytest.mark.parametrize(
    "beside", [{}, {"labels": np.arange(100) % 2}, {"captions": np.array(["a dog", "a cat"] * 50)}]
)
def test_a_file_has_what_memory_has(beside: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "pictures.npz", images=many(), **beside)
    file, memory = loaded(str(tmp_path / "pictures.npz")), loaded(many(), next(iter(beside.values()), None))
    assert file.spec == memory.spec and file.spec.kind == {0: "none"}.get(len(beside), file.spec.kind)
    assert torch.equal(file.train.get(slice(None)), memory.train.get(slice(None)))


def test_files_that_have_no_pictures_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", pictures=many())
    (tmp_path / "broken.npz").write_bytes(b"no zip")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"has no array `images`: it has pictures"):
        loaded(tmp_path / "other.npz")
    for name in ("broken.npz", "objects.npy", "nothing.npz"):
        with pytest.raises(UserError, match=r"^`data.images` must be an .npy or .npz file"):
            loaded(tmp_path / name)


def test_an_array_that_was_not_stored_is_asked_for() -> None:
    with pytest.raises(UserError, match=r"^`data.images` is needed: this run's pictures were an array in memory"):
        ArrayData()


# Data sets and loaders --------------------------------------------------------------------------------------------


class Drawings(Dataset):
    """Colour pictures with classes, as torchvision's data sets give them."""

    classes = ("dark", "light")

    def __len__(self) -> int:
        return 6

    def __getitem__(self, row: int) -> tuple[Image.Image, int]:
        return Image.fromarray(np.full((8, 8, 3), 40 * row, np.uint8)), row // 3


def test_a_data_set_is_read_once_in_its_order() -> None:
    found = collected(Drawings())
    assert found.images.shape == (6, 3, 8, 8) and found.images[:, 0, 0, 0].tolist() == [0, 40, 80, 120, 160, 200]
    assert found.condition == [0, 0, 0, 1, 1, 1] and found.classes == ("dark", "light")


def test_a_loader_is_read_in_the_order_of_its_data_set() -> None:
    images, labels = torch.arange(7, dtype=torch.uint8)[:, None, None, None].repeat(1, 1, 8, 8), torch.arange(7)
    loader = DataLoader(TensorDataset(images, labels), batch_size=3, shuffle=True)
    found = collected(loader)
    assert torch.equal(found.images, images) and found.condition == list(range(7))


class Endless(IterableDataset):
    def __iter__(self) -> Any:
        while True:
            yield torch.zeros(1, 8, 8)


class Uneven(Drawings):
    def __getitem__(self, row: int) -> tuple[Any, int]:
        return np.zeros((8 + row, 8), np.uint8), 0


class Records(Drawings):
    def __getitem__(self, row: int) -> Any:
        return {"image": 0, "label": 1}


@pytest.mark.parametrize(
    ("source", "message"),
    [(Endless(), "must have a length"), (Uneven(), "of one shape"), (Records(), "got a dict of image, label")],
)
def test_sources_that_cannot_be_read_are_refused(source: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"^`data` .*{message}"):
        collected(source)
