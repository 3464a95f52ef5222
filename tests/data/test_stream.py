"""The stream is a pure function of where it is, and mismatched conditions never fit."""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch
from torch.utils.data import DataLoader

from ganlab.data.batch import Batch
from ganlab.data.order import rows_at
from ganlab.data.pictures import Pictures
from ganlab.data.stream import Stream


def numbered(count: int = 23) -> Pictures:
    """Picture i is all i, 1 x 1, and of class i % 5; mirrored at random (which a test of purity should see)."""
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(2, axis=3)
    images[..., 1] += 100
    return Pictures(images, torch.arange(count) % 5, flip=True)


def same(one: Batch, other: Batch) -> bool:
    pairs = zip((one.images, one.condition, one.mismatched), (other.images, other.condition, other.mismatched))  # noqa: B905
    return all(torch.equal(a, b) for a, b in pairs)  # type: ignore[arg-type]


def test_rows_are_those_of_one_pass_after_another() -> None:
    """Cut at any place, the run is the same: position p of the whole run is position 0 of the run from p on."""
    whole = rows_at(0, 100, 23, seed=3)
    for start, count in [(0, 1), (22, 2), (5, 60), (46, 23), (99, 1)]:
        assert rows_at(start, count, 23, seed=3).tolist() == whole[start : start + count].tolist()
    for epoch in range(4):
        assert sorted(whole[23 * epoch : 23 * (epoch + 1)]) == list(range(23))
    assert whole[:23].tolist() != whole[23:46].tolist()


def test_a_stream_entered_later_goes_on_as_if_never_left() -> None:
    whole = list(islice(Stream(numbered(), 7, seed=1), 12))
    resumed = list(islice(Stream(numbered(), 7, seed=1, start=5), 7))
    assert all(same(a, b) for a, b in zip(whole[5:], resumed, strict=True))
    assert not same(whole[0], next(iter(Stream(numbered(), 7, seed=2))))


def test_workers_change_nothing() -> None:
    stream = Stream(numbered(), 7, seed=1)
    loader = DataLoader(stream, batch_size=None, num_workers=2)
    assert all(same(a, b) for a, b in zip(islice(loader, 9), islice(stream, 9), strict=False))


def test_ranks_share_an_epoch_between_them() -> None:
    """24 pictures, 3 ranks of 4: two iterations are one pass, in which every picture comes exactly once."""
    pictures = numbered(24)
    pictures.flip = False
    seen = [
        Stream(pictures, 4, rank=rank, world_size=3).at(i).images[:, 0, 0, 0] for i in range(2) for rank in range(3)
    ]
    assert sorted(torch.cat(seen).tolist()) == list(range(24))


def test_one_process_with_three_times_the_batch_sees_the_same_pictures() -> None:
    pictures = numbered(24)
    pictures.flip = False
    ranks = [Stream(pictures, 4, rank=rank, world_size=3).at(7).images for rank in range(3)]
    assert torch.equal(torch.cat(ranks), Stream(pictures, 12).at(7).images)


def test_mismatched_classes_differ() -> None:
    for batch in islice(Stream(numbered(), 50), 20):
        assert (batch.condition != batch.mismatched).all()  # type: ignore[union-attr]


def test_mismatches_never_share_a_key() -> None:
    """99 of 100 pictures show the same: redrawing alone would rarely find the one that does not."""
    captions = [f"apple {i}" for i in range(99)] + ["pear"]
    pictures = Pictures(np.zeros((100, 1, 1, 1), np.uint8), captions, keys=["apple"] * 99 + ["pear"])
    for batch in islice(Stream(pictures, 100), 5):
        for said, other in zip(batch.condition, batch.mismatched, strict=True):  # type: ignore[arg-type]
            assert (said == "pear") != (other == "pear")


def test_several_captions_are_all_said_and_none_is_its_own_mismatch() -> None:
    wordings = [["a cat", "an animal"], ["a dog", "an animal"], ["a car"], ["a bus", "a vehicle"]]
    pictures = Pictures(np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1), [w[0] for w in wordings], wordings=wordings)
    heard: set[str] = set()
    for batch in islice(Stream(pictures, 4), 200):
        heard |= set(batch.condition)  # type: ignore[arg-type]
        for image, said, other in zip(batch.images, batch.condition, batch.mismatched, strict=True):  # type: ignore[arg-type]
            row = int(image.flatten()[0])
            assert said in wordings[row]
            assert other not in wordings[row]
    assert heard == {caption for several in wordings for caption in several}


def test_a_batch_knows_the_conditions_of_one_picture_alone() -> None:
    """In the wording that was drawn; classes of one picture and of several; in a part, by the part's own pictures."""
    wordings = [["a cat", "an animal"], ["a dog", "an animal"], ["a car", "a vehicle"], ["a bus"], ["a bus"]]
    images = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
    captioned = Pictures(images, [w[0] for w in wordings], wordings=wordings)
    several = {"an animal", "a bus"}
    for pictures, shared in ((captioned, several), (captioned.part(slice(1, 4)), set())):
        batch = Stream(pictures, 40).at(0)
        assert set(batch.condition or []) >= shared  # type: ignore[arg-type]
        assert batch.alone is not None
        assert batch.alone.tolist() == [said not in shared for said in batch.condition]  # type: ignore[union-attr]
    classes = torch.tensor([0, 1, 1, 2, 0])
    batch = Pictures(images, classes).batch(np.arange(5), np.random.default_rng(0))
    assert batch.alone is not None and batch.alone.tolist() == [False, False, False, True, False]


def test_only_what_may_be_mirrored_is() -> None:
    images = np.array([[0, 1], [0, 1]], dtype=np.uint8).reshape(2, 1, 1, 2)
    pictures = Pictures(images, flip=np.array([True, False]))
    rows = np.array([0, 1] * 200)
    left = pictures.batch(rows, np.random.default_rng(0)).images[:, 0, 0, 0].view(-1, 2)
    assert left[:, 1].sum() == 0
    assert 60 < left[:, 0].sum() < 140  # 200 fair coins: 100, six standard deviations (7.1) either way


def test_a_part_keeps_what_belongs_to_its_pictures() -> None:
    part = numbered().part(slice(10, None))
    assert len(part) == 13
    assert part.get(slice(0, 1)).flatten().tolist() == [10, 110]
    assert part.condition.tolist() == [i % 5 for i in range(10, 23)]  # type: ignore[union-attr]
