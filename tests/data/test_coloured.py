"""The oracle of coloured hearts, circles and squares: right on every real one, and not on what is damaged."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from ganlab.data.coloured import COLOURS, SHAPES, Seen, look, outside, unicode_name
from ganlab.data.emoji import EmojiData
from ganlab.data.openmoji import emoji_list, rasterise
from ganlab.data.wordings import wordings

THINGS = [(colour, shape) for colour in COLOURS for shape in SHAPES]
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "wordings.py"


@pytest.fixture(scope="module")
def real() -> dict[tuple[str, str], np.ndarray]:
    data = EmojiData()
    data.setup()
    named: dict[str, np.ndarray] = {}
    for part in (data.train, data.reference):
        named |= zip(part.condition or [], np.asarray(part.images), strict=True)  # type: ignore[arg-type]
    return {thing: named[unicode_name(*thing)] for thing in THINGS}


def seen(image: np.ndarray) -> Seen:
    return look(image[None])[0]


def test_every_real_one_is_read_rightly(real: dict[tuple[str, str], np.ndarray]) -> None:
    assert look(np.stack(list(real.values()))) == [Seen(*thing) for thing in real]


@pytest.mark.parametrize("size", [16, 64, 128])
def test_at_any_size(size: int) -> None:
    named = {one.caption: one.file for one in emoji_list()}
    for thing in [("red", "heart"), ("blue", "circle"), ("white", "square")]:
        assert seen(rasterise(named[unicode_name(*thing)], size)) == Seen(*thing)


def test_slight_noise_is_forgiven(real: dict[tuple[str, str], np.ndarray]) -> None:
    noise = np.random.default_rng(0).normal(0, 6, (len(real), 3, 32, 32))
    noisy = (np.stack(list(real.values())) + noise).clip(0, 255).astype(np.uint8)
    assert np.mean([one == Seen(*thing) for one, thing in zip(look(noisy), real, strict=True)]) > 0.9


def test_damage_is_not(real: dict[tuple[str, str], np.ndarray]) -> None:
    for (colour, shape), image in real.items():
        half = image.copy()
        half[:, 16:] = 255
        assert seen(half).shape is None
        assert seen(np.roll(image, 16, axis=2)).shape != shape or shape == "square"
        if colour not in ("black", "white"):
            assert seen(np.ascontiguousarray(image[[1, 2, 0]])).colour != colour
        two = image.copy()
        drawn = ~outside(image.min(0) >= 190)[:, 16:]
        two[:, :, 16:][:, drawn] = np.array([[255], [167], [192]])  # one half is pink
        assert seen(two).colour is None


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_picture_shows_nothing(level: int) -> None:
    assert seen(np.full((3, 32, 32), level, np.uint8)) in (
        Seen(None, None),
        Seen("black", "square"),
        Seen(None, "square"),
    )


def test_the_benchmark_asks_in_words_that_training_does_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARK.parent), *sys.path])
    spec = importlib.util.spec_from_file_location("benchmark_of_wordings", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    trained = {said for one in emoji_list() for said in wordings(one, 100)}
    asked = benchmark.asked(THINGS)
    assert set(asked.pop("red heart, as in training")) <= trained
    assert set(asked.pop("a red heart")) & trained
    assert len(asked) == 4
    assert not trained & {caption for captions in asked.values() for caption in captions}
