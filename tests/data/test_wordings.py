"""What emoji are called: other names, no name twice, and nothing of what is held out."""

from __future__ import annotations

import numpy as np
import pytest

from ganlab.data.emoji import EmojiData
from ganlab.data.openmoji import emoji_list
from ganlab.data.stream import Stream
from ganlab.data.wordings import KINDS, NAMED, wordings

EVERY = 100  # more wordings than any picture has


@pytest.fixture(scope="module")
def data() -> EmojiData:
    data = EmojiData(wordings=EVERY, skin_tones=True)
    data.setup()
    return data


def said_of(name: str, most: int = EVERY) -> list[str]:
    return wordings(next(one for one in emoji_list() if one.caption == name), most)


def test_the_unicode_name_comes_first_and_others_after_it() -> None:
    apple = said_of("red apple")
    assert apple[:2] == ["red apple", "a red apple"]
    assert {"apple, red", "the red apple", "a picture of a red apple"} <= set(apple)
    assert "suitcase" in said_of("luggage")  # no other concept has this keyword
    assert "red heart, emotion, love" in said_of("red heart")  # others have these, too
    assert said_of("red apple", most=1) == ["red apple"]


def test_a_drawing_is_of_the_kind_that_its_name_says() -> None:
    """Keywords alone would call a house a heart, and a couple with a heart both."""
    kinds = {
        name: {*KINDS, *NAMED} & {*said_of(name)} for name in ("beating heart", "house", "couple with heart", "ox")
    }
    assert kinds == {
        "beating heart": {"a heart"},
        "house": {"a building"},
        "couple with heart": {"people"},
        "ox": {"an animal"},
    }


def test_a_phrase_that_belongs_to_another_concept_stands_for_none() -> None:
    assert "potato" not in said_of("roasted sweet potato")
    assert said_of("no bicycles")[:3] == ["no bicycles", "the no bicycles", "a picture of no bicycles"]
    assert all("no bicycles" in said for said in said_of("no bicycles"))


def test_wordings_differ_and_are_captions(data: EmojiData) -> None:
    for said in data.train.all_wordings():
        assert len(set(said)) == len(said)
        assert all(caption.strip() == caption and caption.isprintable() for caption in said)


def test_no_wording_of_a_held_out_concept_is_said_in_training(data: EmojiData) -> None:
    trained, held = ({said for one in part.all_wordings() for said in one} for part in (data.train, data.reference))
    assert len(trained) > 5_000
    assert trained & held <= {*KINDS, *NAMED}


def test_a_concept_is_never_mismatched_with_another_wording_of_itself(data: EmojiData) -> None:
    batch = data.train.batch(np.arange(600), np.random.default_rng(0))
    assert isinstance(batch.condition, list)
    assert isinstance(batch.mismatched, list)
    for row, (own, other) in enumerate(zip(batch.condition, batch.mismatched, strict=True)):
        assert own in data.train.all_wordings()[row]
        assert other not in data.train.all_wordings()[row]


def test_a_batch_says_one_wording_which_depends_on_its_number_alone(data: EmojiData) -> None:
    stream, again = (Stream(data.train, 64, seed=3) for _ in range(2))
    assert stream.at(5).condition == again.at(5).condition
    assert stream.at(5).mismatched == again.at(5).mismatched
    assert not set(stream.at(5).condition or []) <= set(data.train.condition or [])  # type: ignore[arg-type]


def test_words_of_all_wordings_are_known_and_one_wording_is_the_name() -> None:
    named, told = EmojiData(), EmojiData(wordings=10)
    for data in (named, told):
        data.setup()
    assert "suitcase" not in named.spec.vocabulary
    assert "suitcase" in told.spec.vocabulary
    assert named.train.wordings is None
    assert named.train.condition == told.train.condition
