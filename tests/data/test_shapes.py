"""The world of shapes: its sentences, its pictures, and what training never sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ganlab.data.drawing import BACKGROUND, GAP, WIDTH, coverage, draw, lay_out
from ganlab.data.scenes import COLOURS, HELD_OUT, SHAPES, Scene, Thing, near_miss, parse, scenes, things
from ganlab.data.shapes import ShapesData
from ganlab.errors import UserError


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShapesData:
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))
    shapes = ShapesData(count=600, held_out_count=200)
    shapes.setup()
    return shapes


def some(count: int, seed: int = 0) -> list[Scene]:
    every, _ = things(())
    return scenes(count, every, every, 0.75, np.random.default_rng(seed))


def test_captions_and_scenes_are_the_same_thing_twice() -> None:
    told = some(500)
    assert [parse(str(scene)) for scene in told] == told


def test_a_scene_told_from_its_other_thing_has_the_same_key() -> None:
    above = parse("a small red circle above a large blue square")
    assert str(above.turned) == "a large blue square below a small red circle"
    assert above.key == above.turned.key
    assert above.key != parse("a small red circle below a large blue square").key


@pytest.mark.parametrize(
    "caption", ["", "a red apple", "a small red circle near a large blue square", "small red circle"]
)
def test_a_sentence_of_another_world_is_refused(caption: str) -> None:
    with pytest.raises(ValueError, match="data=shapes"):
        parse(caption)


@pytest.mark.parametrize(("shape", "area"), [("circle", np.pi / 4), ("square", 0.81), ("triangle", 1.15**2 / 2)])
@pytest.mark.parametrize("side", [32, 128])
def test_coverage_sums_to_the_area(shape: str, area: float, side: int) -> None:
    """Of diameter 0.4: pi / 4, 0.9^2 and 1.15^2 / 2 times 0.16. Blurred edges keep the area, corners to within 1 %."""
    cover = coverage(np.array([SHAPES.index(shape)]), np.array([0.4]), np.array([[0.5, 0.47]]), side)
    assert cover.sum() / side**2 == pytest.approx(area * 0.16, rel=0.01)
    assert cover.min() == 0 and cover.max() == 1


def test_things_stay_inside_and_apart() -> None:
    told = [scene for scene in some(3000) if scene.relation]
    layout = lay_out(told, np.random.default_rng(1))
    half = layout.diameter * np.array([WIDTH[name] for name in SHAPES])[layout.shape] / 2
    assert (layout.center - half[:, :, None]).min() > 0 and (layout.center + half[:, :, None]).max() < 1
    between = abs(layout.center[:, 0] - layout.center[:, 1]).max(1) - half.sum(1)
    assert between.min() == pytest.approx(GAP, abs=0.2 / 32)


def test_the_first_thing_lies_where_the_caption_says() -> None:
    layout = lay_out([parse("a small red circle left of a large blue square")] * 50, np.random.default_rng(0))
    right, down = (layout.center[:, 0] - layout.center[:, 1]).T
    assert (right < 0).all() and (abs(down) < abs(right)).all()


def test_pictures_have_their_colours_and_nothing_else() -> None:
    (picture,) = draw(lay_out([parse("a large red square")], np.random.default_rng(0)), 64)
    colours, counts = np.unique(picture.reshape(3, -1), axis=1, return_counts=True)
    common = {tuple(colour) for colour in colours[:, counts > 30].T.tolist()}
    assert common == {BACKGROUND, COLOURS["red"]}


def test_one_seed_is_one_scene_at_every_size() -> None:
    """Means over 2 x 2 pixels of the larger drawing: edges are blurred over a narrower band, so not the same levels."""
    told = some(20)
    small, large = (draw(lay_out(told, np.random.default_rng(3)), side).astype(float) for side in (32, 64))
    assert abs(large.reshape(20, 3, 32, 2, 32, 2).mean((3, 5)) - small).max() < 40


def test_training_never_shows_what_is_held_out(data: ShapesData) -> None:
    def shown(captions: object) -> list[bool]:
        assert isinstance(captions, list)
        return [any(thing.combination in HELD_OUT for thing in parse(caption).things) for caption in captions]

    assert not any(shown(data.train.condition)) and not any(shown(data.reference.condition))
    assert all(shown(data.unseen.condition))


def test_every_word_is_in_training(data: ShapesData) -> None:
    words = {word for caption in data.unseen.condition or [] for word in str(caption).split()}
    assert words <= set(data.spec.vocabulary)


def test_a_mismatched_caption_never_fits(data: ShapesData) -> None:
    batch = data.train.batch(np.arange(600), np.random.default_rng(0))
    pairs = zip(batch.condition or [], batch.mismatched or [], strict=True)  # type: ignore[arg-type]
    assert all(parse(own).key != parse(other).key for own, other in pairs)


def test_pictures_depend_on_the_seed_alone(data: ShapesData) -> None:
    again, other = ShapesData(count=600, held_out_count=200), ShapesData(count=600, held_out_count=200, seed=1)
    again.setup(), other.setup()
    assert_array_equal(again.train.images, data.train.images)
    assert not np.array_equal(other.train.images, data.train.images)
    assert data.train.shape == data.spec.shape == (3, 32, 32)


def test_things_have_three_words() -> None:
    assert str(Thing("small", "red", "circle")) == "a small red circle"


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"size": 16}, "size"),
        ({"size": 256}, "size"),
        ({"count": 0}, "count"),
        ({"pairs": 1.5}, "pairs"),
        ({"held_out": ["red apple"]}, "held_out"),
        ({"held_out": ["red circle", "red square", "red triangle"]}, "held_out"),
    ],
)
def test_bad_settings_are_named(settings: dict, word: str) -> None:
    with pytest.raises(UserError, match=f"`data.{word}`"):
        ShapesData(**settings)


def test_a_near_miss_differs_in_one_respect_and_names_nothing_held_out() -> None:
    """Never the scene itself told another way, never a combination that training does not show."""
    random = np.random.default_rng(0)
    shown, _ = things(HELD_OUT)
    for scene in scenes(300, shown, shown, 0.75, random):
        other = near_miss(scene, shown, random)
        assert other.key != scene.key
        assert all(thing.combination not in HELD_OUT for thing in other.things)
        changed = [thing for thing in other.things if thing not in scene.things]
        assert len(changed) <= 1 and len(other.things) == len(scene.things)
