"""Tables of classes, and manifests of drawn pictures, in Hugging Face's ImageFolder layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.data.folder import FolderData
from ganlab.errors import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve pictures: number i is a plane of 20 i."""
    for i in range(12):
        Image.new("L", (16, 16), 20 * i).save(tmp_path / f"{i:02d}.png")
    return tmp_path


def table(root: Path, *rows: dict, name: str = "metadata.jsonl") -> None:
    (root / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def rows(**columns: list) -> list[dict]:
    """Rows of the twelve pictures with these columns."""
    return [{"file_name": f"{i:02d}.png", **{name: values[i] for name, values in columns.items()}} for i in range(12)]


def loaded(root: Path) -> FolderData:
    data = FolderData(root, size=16, held_out=0.25)
    data.setup()
    return data


def numbers(data: FolderData) -> list[int]:
    """The number of each training picture, by its grey."""
    return [int(grey) // 20 for grey in data.train.get(slice(None))[:, 0, 0, 0]]


@pytest.mark.parametrize("kind", [str, int])
def test_labels_are_classes(root: Path, kind: type) -> None:
    table(root, *rows(label=[kind(i % 3) for i in range(12)]))
    data = loaded(root)
    assert data.spec.kind == "class" and data.spec.classes == ("0", "1", "2")
    assert torch.equal(data.train.condition, torch.tensor([number % 3 for number in numbers(data)]))


def test_a_table_of_classes_may_be_csv(root: Path) -> None:
    lines = [f"{i:02d}.png,{'even' if i % 2 == 0 else 'odd'}" for i in range(12)]
    (root / "metadata.csv").write_text("\n".join(["file_name,label", *lines]))
    assert loaded(root).spec.classes == ("even", "odd")


def test_captions_go_before_labels(root: Path) -> None:
    table(root, *rows(label=[0] * 12, text=[f"number {i}" for i in range(12)]))
    data = loaded(root)
    assert data.spec.kind == "text"
    assert data.train.condition == [f"number {number}" for number in numbers(data)]


def test_one_label_is_no_condition(root: Path) -> None:
    table(root, *rows(label=["all"] * 12))
    assert loaded(root).spec.kind == "none"


def test_pictures_without_a_label_are_named(root: Path) -> None:
    table(root, *rows(label=[i % 2 for i in range(12)])[:10])
    with pytest.warns(UserWarning, match=r"2 of 12 pictures have no label and are left out: 10\.png, 11\.png"):
        data = loaded(root)
    assert len(data.train) + len(data.reference) == 10


def test_a_manifest_lists_all_pictures_of_its_folder(root: Path) -> None:
    """A sheet of samples beside them is not read, and no warning says so."""
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(root / "grid.png")
    table(root, *rows(seed=list(range(12)), checkpoint=["abc"] * 12))
    data = loaded(root)
    assert data.spec.kind == "none" and len(data.train) + len(data.reference) == 12


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"file_name": "00.png", "label": True}, "line 1: `label` must be text or a whole number, got True"),
        ({"file_name": "00.png", "label": 0.5}, "line 1: `label` must be text or a whole number, got 0.5"),
        ({"file_name": 3, "label": 1}, "line 1: `file_name` must be text, got 3"),
        ({"file_name": "x.png", "label": 1}, r"matches no picture: its rows name x\.png"),
    ],
)
def test_rows_that_cannot_be_meant(root: Path, row: dict, message: str) -> None:
    table(root, row)
    with pytest.raises(UserError, match=message):
        loaded(root)
