"""Batches: the range of images, cutting, moving, and conditions of every kind."""

from __future__ import annotations

import pytest
import torch

from ganlab.data.batch import Batch, Condition, take, to_float, to_uint8


def test_every_level_survives_the_way_there_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(levels)), levels)


def test_the_range_is_minus_one_to_one() -> None:
    ends = to_float(torch.tensor([0, 255], dtype=torch.uint8))
    torch.testing.assert_close(ends, torch.tensor([-1.0, 1.0]))
    assert ends.abs().max() <= 1


def test_to_uint8_rounds_and_clamps() -> None:
    """One level is 2 / 255; 0.4 of a level rounds down, 0.6 up; beyond the ends is the end."""
    level = 2 / 255
    images = torch.tensor([-1 + 0.4 * level, -1 + 0.6 * level, -1.5, 1.5])
    assert to_uint8(images).tolist() == [0, 1, 0, 255]


def test_points_pass_unchanged() -> None:
    points = torch.randn(5, 2)
    assert torch.equal(to_float(points), points)
    assert torch.equal(Batch(points).ready().images, points)


def test_ready_leaves_the_batch_as_it_was() -> None:
    batch = Batch(torch.full((2, 1, 1, 1), 255, dtype=torch.uint8), ["a", "b"], ["c", "d"])
    ready = batch.ready()
    assert batch.images.dtype == torch.uint8
    assert ready.images.dtype == torch.float32
    assert (ready.condition, ready.mismatched) == (["a", "b"], ["c", "d"])


def test_conditions_that_are_images_become_floats_and_classes_stay() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None]
    ready = Batch(images, 255 - images, images).ready()
    torch.testing.assert_close(ready.condition, torch.tensor([1.0, -1.0])[:, None, None, None])
    torch.testing.assert_close(ready.mismatched, ready.images)
    assert torch.equal(Batch(images, torch.tensor([3, 4])).ready().condition, torch.tensor([3, 4]))  # type: ignore[arg-type]


@pytest.mark.parametrize("condition", [None, list("abcdef"), torch.arange(6), torch.randn(6, 1, 2, 2)])
def test_chunks_are_consecutive_and_complete(condition: Condition) -> None:
    images = torch.arange(6).float()[:, None]
    alone = torch.arange(6) % 2 == 0
    parts = Batch(images, condition, condition, alone).chunk(3)
    assert [len(part) for part in parts] == [2, 2, 2]
    assert torch.cat([part.alone for part in parts if part.alone is not None]).tolist() == alone.tolist()
    assert torch.equal(torch.cat([part.images for part in parts]), images)
    for i, part in enumerate(parts):
        wanted = take(condition, slice(2 * i, 2 * i + 2))
        for got in (part.condition, part.mismatched):
            assert torch.equal(got, wanted) if isinstance(wanted, torch.Tensor) else got == wanted


def test_chunks_must_be_equal() -> None:
    with pytest.raises(ValueError, match="6 images does not divide into 4"):
        Batch(torch.zeros(6, 2)).chunk(4)


def test_take() -> None:
    rows = torch.tensor([2, 0])
    assert take(None, rows) is None
    assert take(["a", "b", "c"], rows) == ["c", "a"]
    assert take(["a", "b", "c"], [1]) == ["b"]
    assert take(torch.tensor([5, 6, 7]), rows).tolist() == [7, 5]  # type: ignore[union-attr]


def test_moving_takes_tensors_along_and_leaves_captions() -> None:
    moved = Batch(torch.zeros(2, 2), ["a", "b"], ["b", "a"], torch.ones(2, dtype=torch.bool)).to("meta")
    assert moved.images.device.type == "meta"
    assert moved.alone is not None and moved.alone.device.type == "meta"
    assert moved.condition == ["a", "b"]
    assert moved.mismatched == ["b", "a"]
