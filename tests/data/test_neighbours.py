"""Near misses: who is near whom, how often they are drawn, and that no partner fits."""

from __future__ import annotations

import numpy as np

from ganlab.data.emoji import EmojiData
from ganlab.data.neighbours import Neighbours
from ganlab.data.pictures import Pictures

NAMES = ["red heart", "blue heart", "blue circle", "dog", "red heart"]


def pictures(share: float) -> Pictures:
    return Pictures(np.zeros((5, 1, 2, 2), np.uint8), NAMES, neighbours=Neighbours.of(NAMES, share))


def test_names_that_share_a_word_are_near() -> None:
    assert [rows.tolist() for rows in Neighbours.of(NAMES, 0.5).rows] == [[1], [0, 2, 4], [1], [], [1]]


def test_words_of_two_letters_and_signs_do_not_count() -> None:
    assert [len(rows) for rows in Neighbours.of(["face in clouds", "man in suit", "up-down arrow"], 1.0).rows] == [
        0,
        0,
        0,
    ]


def test_a_share_of_mismatched_captions_comes_from_neighbours() -> None:
    """Of a red heart's partners by chance, a third are blue hearts: 1/2 + 1/2 x 1/3 at a share of a half."""
    batch = pictures(0.5).batch(np.zeros(4000, np.int64), np.random.default_rng(0))
    assert isinstance(batch.mismatched, list)
    assert abs(batch.mismatched.count("blue heart") / 4000 - (1 / 2 + 1 / 6)) < 0.03
    assert "red heart" not in batch.mismatched


def test_all_partners_of_a_picture_without_neighbours_are_others() -> None:
    batch = pictures(1.0).batch(np.full(200, 3), np.random.default_rng(0))
    assert isinstance(batch.mismatched, list)
    assert {*batch.mismatched} == {"red heart", "blue heart", "blue circle"}


def test_emoji_are_told_from_those_of_another_colour() -> None:
    data = EmojiData(near_misses=1.0, wordings=16)
    data.setup()
    names = data.train.condition
    assert isinstance(names, list)
    batch = data.train.batch(np.full(300, names.index("red heart")), np.random.default_rng(0))
    assert isinstance(batch.mismatched, list)
    assert any("blue heart" in said for said in batch.mismatched)
    assert not {*batch.mismatched} & {*data.train.all_wordings()[names.index("red heart")]}
