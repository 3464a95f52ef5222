"""Torchvision's sets from files that are there, and one clear line where they are not."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from ganlab.data.torchvision import TorchvisionData, resized
from ganlab.errors import UserError

SHARED = Path(__file__).parents[3] / "shared" / "data"


def write_idx(path: Path, array: np.ndarray) -> None:
    """MNIST's own format: two zero bytes, 8 (unsigned byte), the number of dimensions, the sizes, the bytes."""
    path.write_bytes(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, count in (("train", 30), ("t10k", 10)):
        images = np.arange(count, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2) + 100
        write_idx(raw / f"{name}-images-idx3-ubyte", images)
        write_idx(raw / f"{name}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8) % 10)
    return tmp_path


def test_files_that_are_there_are_used(root: Path) -> None:
    data = TorchvisionData("MNIST", root)
    data.setup()
    assert (len(data.train), len(data.reference)) == (30, 10)
    assert data.spec.shape == data.train.shape == (1, 32, 32)
    assert data.spec.kind == "class"
    assert data.spec.classes == tuple("0123456789")
    image = data.train.get(slice(7, 8))[0, 0]
    assert image.dtype == torch.uint8
    assert image[2:30, 2:30].unique().tolist() == [107]
    assert image.sum() == 107 * 28 * 28  # the border of two is black
    assert data.train.condition.tolist() == [i % 10 for i in range(30)]  # type: ignore[union-attr]


def test_other_sizes_are_resized(root: Path) -> None:
    data = TorchvisionData("MNIST", root, size=16)
    data.setup()
    assert data.train.shape == (1, 16, 16)
    assert resized(torch.full((2, 3, 96, 96), 200, dtype=torch.uint8), 64).unique().tolist() == [200]


def test_a_missing_set_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    def offline(self: object) -> None:
        raise RuntimeError("Error downloading:\nno route to host")

    monkeypatch.setattr(datasets.MNIST, "download", offline)
    with pytest.raises(UserError, match=r"`root` has no MNIST .*no route to host.*data\.root=") as caught:
        TorchvisionData("MNIST", tmp_path / "nothing").setup()
    assert "\n" not in str(caught.value)


def test_an_unknown_set_names_those_there_are() -> None:
    with pytest.raises(UserError, match=r"`dataset` must be one of MNIST, .*CIFAR10.*, got 'Mnist'"):
        TorchvisionData("Mnist")


@pytest.mark.skipif(not (SHARED / "MNIST" / "raw").is_dir(), reason="MNIST is not in ../shared/data")
def test_mnist_itself() -> None:
    data = TorchvisionData("MNIST", SHARED)
    data.setup()
    assert (len(data.train), len(data.reference)) == (60000, 10000)
    assert 5000 < int((data.train.condition == 0).sum()) < 7000  # type: ignore[union-attr,operator]
