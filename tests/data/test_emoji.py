"""The default data: names, options, the split by concept. Its pictures, 32 x 32, are those of every run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ganlab.data.emoji import EmojiData
from ganlab.data.openmoji import Emoji, emoji_list, rasterise
from ganlab.errors import UserError


@pytest.fixture(scope="module")
def everything() -> EmojiData:
    data = EmojiData(skin_tones=True, flags=True, signs=True)
    data.setup()
    return data


@pytest.fixture(scope="module")
def plain() -> EmojiData:
    data = EmojiData()
    data.setup()
    return data


def named(caption: str) -> Emoji:
    return next(one for one in emoji_list() if one.caption == caption)


def captions(data: EmojiData) -> set[str]:
    assert isinstance(data.train.condition, list)
    assert isinstance(data.reference.condition, list)
    return {*data.train.condition, *data.reference.condition}


def test_pictures_are_uint8_and_fill_the_frame(plain: EmojiData) -> None:
    assert plain.spec.shape == plain.train.shape == (3, 32, 32)
    assert plain.train.images.dtype == np.uint8
    darkest = np.asarray(plain.train.images).min(axis=1)
    filled = (darkest < 250).any(axis=1).mean(), (darkest < 250).any(axis=2).mean()
    assert min(filled) > 0.75  # of the columns and of the rows have something drawn in them


def test_names_are_words() -> None:
    assert named("red apple").text == "\U0001f34e"
    assert named("flag of Chad").flag
    assert not any(set(one.caption) & set(":_") for one in emoji_list())


def test_what_has_no_unicode_name_is_left_out() -> None:
    assert len(emoji_list()) > 3500
    assert all(ord(one.text[0]) < 0xE000 or ord(one.text[0]) >= 0x10000 for one in emoji_list())
    assert "medium skin tone" not in {one.caption for one in emoji_list()}


@pytest.mark.parametrize(
    ("caption", "concept"),
    [
        ("waving hand medium-dark skin tone", "waving hand"),
        ("woman dark skin tone red hair", "woman red hair"),
        ("couple with heart man man dark skin tone light skin tone", "couple with heart man man"),
        ("woman running facing right light skin tone", "woman running"),
        ("light bulb", "light bulb"),
    ],
)
def test_concepts_are_names_without_skin_tone(caption: str, concept: str) -> None:
    assert Emoji("", caption, Path()).concept == concept


@pytest.mark.parametrize(
    "caption", ["keycap 3", "right arrow", "OK button", "trade mark", "Aries", "cross mark", "plus"]
)
def test_text_like_signs(caption: str) -> None:
    assert named(caption).sign


@pytest.mark.parametrize(
    "caption", ["red heart", "bow and arrow", "sign of the horns", "blue circle", "kiss mark", "fire"]
)
def test_pictures_that_are_no_signs(caption: str) -> None:
    assert not named(caption).sign


def test_options_keep_and_drop(plain: EmojiData, everything: EmojiData) -> None:
    toned, flag, sign = "waving hand dark skin tone", "flag of Chad", "OK button"
    assert not {toned, flag, sign} & captions(plain)
    assert {toned, flag, sign, "red apple"} <= captions(everything)
    assert captions(plain) < captions(everything)


@pytest.mark.parametrize(
    ("kind", "inside", "outside"), [("a face", "dog face", "red apple"), ("an animal", "tiger", "dog face")]
)
def test_a_kind_keeps_its_drawings_in_their_splits(plain: EmojiData, kind: str, inside: str, outside: str) -> None:
    data = EmojiData(kind=kind)
    data.setup()
    assert inside in captions(data)
    assert outside not in captions(data)
    assert set(data.reference.condition or ()) < set(plain.reference.condition or ())
    assert data.spec.prompts


def test_an_unknown_kind_is_answered_by_the_nearest() -> None:
    with pytest.raises(UserError, match=r"`data.kind` 'faces' is no kind of emoji: did you mean `a face`\?"):
        EmojiData(kind="faces")


def test_no_concept_is_on_both_sides(everything: EmojiData) -> None:
    train, reference = set(everything.train.keys or ()), set(everything.reference.keys or ())
    assert not train & reference
    assert 0.07 < len(reference) / len(train | reference) < 0.13


def test_options_and_seeds_do_not_move_the_split(plain: EmojiData, everything: EmojiData) -> None:
    other = EmojiData(seed=5)
    other.setup()
    assert other.reference.condition == plain.reference.condition
    assert set(plain.reference.keys or ()) <= set(everything.reference.keys or ())


def test_a_skin_tone_twin_is_no_mismatch(everything: EmojiData) -> None:
    rows = np.array([i for i, key in enumerate(everything.train.keys or ()) if key == "waving hand"] * 20)
    batch = everything.train.batch(rows, np.random.default_rng(0))
    assert isinstance(batch.mismatched, list)
    assert len(rows) >= 120
    assert not any(caption.startswith("waving hand") for caption in batch.mismatched)


def test_nothing_with_sides_or_letters_is_mirrored() -> None:
    still = ["magnifying glass tilted left", "crescent moon", "three o'clock", "OK button", "flag of Chad"]
    assert not any(named(caption).mirrors for caption in still)
    assert named("red apple").mirrors


def test_spec_says_what_a_model_needs(plain: EmojiData) -> None:
    assert plain.spec.kind == "text"
    assert {"apple", "red", "face"} <= set(plain.spec.vocabulary)
    assert 8 <= len(plain.spec.prompts) <= 16
    assert isinstance(plain.train.condition, list)
    assert set(plain.spec.prompts) <= set(plain.train.condition)


@pytest.mark.parametrize("size", [8, 64, 256])
def test_any_size(size: int) -> None:
    """A red apple is red in the middle and white in the corners."""
    picture = rasterise(named("red apple").file, size)
    assert picture.shape == (3, size, size)
    assert picture[:, 0, 0].min() > 250
    red, green, blue = picture[:, size * 5 // 8, size // 2].astype(int)
    assert red - max(green, blue) > 80


@pytest.mark.parametrize("bad", [{"size": 0}, {"size": 5000}, {"held_out": 1.0}, {"held_out": -0.1}])
def test_impossible_settings(bad: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"`{next(iter(bad))}` must be"):
        EmojiData(**bad)  # type: ignore[arg-type]
