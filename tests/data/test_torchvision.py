"""Torchvision's sets from files that are there, and one clear line where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ganlab.data.torchvision import TorchvisionData, resized
from ganlab.errors import UserError

SHARED = Path(__file__).parents[3] / "shared" / "data"


def test_files_that_are_there_are_used(mnist: Path) -> None:
    data = TorchvisionData("MNIST", mnist)
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


def test_other_sizes_are_resized(mnist: Path) -> None:
    data = TorchvisionData("MNIST", mnist, size=16)
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
