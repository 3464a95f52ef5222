"""Stacks of digits: the channels are digits, the class is the number that they spell, and draws are what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ganlab.data.stacked_mnist import StackedMnistData
from ganlab.data.stacks import Stacks, drawn_parts
from ganlab.errors import UserError


def stacked(root: Path, **kwargs: int) -> StackedMnistData:
    data = StackedMnistData(root, **{"count": 500, "held_out_count": 200, **kwargs})
    data.setup()
    return data


def test_a_class_spells_its_channels(mnist: Path) -> None:
    """Training digit i is a plane of 100 + i, of class i % 10."""
    data = stacked(mnist)
    shown = data.train.get(slice(0, 500))[:, :, 16, 16].long() - 100
    assert shown.min() >= 0 and shown.max() == 29
    digits = shown % 10
    assert torch.equal(digits @ torch.tensor([100, 10, 1]), data.train.condition)
    assert data.spec.classes[42] == "042" and data.spec.kind == "class"
    assert data.train.shape == (3, 32, 32) and data.digits == 3


def test_the_reference_is_made_of_test_digits(mnist: Path) -> None:
    """Which are planes of 100 to 109."""
    assert stacked(mnist).reference.get(slice(0, 200))[:, :, 16, 16].max() == 109


def test_more_pictures_begin_with_the_same_ones(mnist: Path) -> None:
    few, many = stacked(mnist, count=20), stacked(mnist, count=500)
    assert torch.equal(few.train.get(slice(0, 20)), many.train.get(slice(0, 20)))
    other = stacked(mnist, count=20, seed=1)
    assert not torch.equal(few.train.get(slice(0, 20)), other.train.get(slice(0, 20)))


def test_parts_are_uniform_and_independent() -> None:
    """Chi-square over the 1,000 triples of ten, 100,000 draws: 999 degrees of freedom, deviation sqrt(2 * 999) = 45."""
    parts = drawn_parts(100_000, 3, 10, seed=0, split=0)
    counts = np.bincount(parts @ [100, 10, 1], minlength=1000)
    assert abs(((counts - 100) ** 2 / 100).sum() - 999) < 4 * 45


def test_splits_are_drawn_apart() -> None:
    first, second = (drawn_parts(1000, 3, 10, 0, split) for split in (0, 1))
    assert abs((first == second).mean() - 0.1) < 0.03


def test_stacks_are_indexed_by_rows() -> None:
    layers = np.arange(4, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)
    stacks = Stacks(layers, np.array([[0, 1, 2], [3, 3, 3]]))
    assert stacks.shape == (2, 3, 2, 2) and len(stacks) == 2
    assert stacks[np.array([1, 0])][:, :, 0, 0].tolist() == [[3, 3, 3], [0, 1, 2]]
    assert stacks[slice(0, 1)].shape == (1, 3, 2, 2)


def test_counts_are_checked(mnist: Path) -> None:
    with pytest.raises(UserError, match="count"):
        StackedMnistData(mnist, count=0)
