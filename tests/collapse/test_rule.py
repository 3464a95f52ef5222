"""When a change is more than chance, and how often that is said of runs in which nothing is wrong."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from ganlab.collapse.course import LEARNED, Course, Rule, Terms, calm
from ganlab.collapse.null import Healthy, courses, table
from ganlab.collapse.rule import SHORTEST, change, earlier, extremes, later, noise, scan, sums

LOOKS = 20


@cache
def healthy() -> Healthy:
    """Of runs of 20 looks, from 8,000 of them."""
    numbers = table(LOOKS, runs=8_000)
    return Healthy(numbers[:LOOKS], numbers[LOOKS:])


def series(*parts: tuple[int, float], deviation: float = 0.0, seed: int = 0) -> np.ndarray:
    """(looks, level) one after the other, with normal noise."""
    levels = np.concatenate([np.full(looks, level) for looks, level in parts])
    return levels + deviation * np.random.default_rng(seed).standard_normal(len(levels))


# The statistic -----------------------------------------------------------------------------------------------------


def test_extremes_of_windows() -> None:
    x = np.random.default_rng(0).standard_normal((2, 30))
    for length in (1, 2, 3, 6, 24, 30):
        seen = np.lib.stride_tricks.sliding_window_view(x, length, axis=-1)
        assert np.array_equal(extremes(x, length, np.maximum), seen.max(axis=-1))
        assert np.allclose(sums(x, length), seen.sum(axis=-1))


def test_windows_without_their_luckiest_look() -> None:
    """Of 4, 2, 6, 8, by pairs: the larger of each, the lowest so far; the smaller of each, as it comes."""
    x = np.array([4.0, 2.0, 6.0, 8.0])
    assert earlier(x, 2).tolist() == [4, 4, 4]
    assert later(x, 2).tolist() == [2, 2, 6]
    assert later(x, 4).tolist() == [(4 + 2 + 6) / 3]


def test_z_of_a_jump_is_what_the_formula_says() -> None:
    """Level 0.1 for six looks, 0.5 for two, least 0.05, noise 0.01: (0.4 - 0.05) / (0.01 sqrt(1/5 + 1/1))."""
    found = change(series((6, 0.1), (2, 0.5)).tolist(), 0.01, 0.05)
    assert found is not None
    assert found.z == pytest.approx(0.35 / (0.01 * (1 / 5 + 1) ** 0.5))
    assert (found.since, found.before, found.after) == pytest.approx((6, 0.1, 0.5))


def test_the_scan_of_a_run_ends_with_its_change() -> None:
    x = series((9, 0.3), (6, 0.4), deviation=0.02)
    z = scan(x, noise(x, 0.01), 0.05)
    for look in range(SHORTEST, len(x)):
        found = change(x[: look + 1].tolist(), 0.01, 0.05)
        assert found is not None and found.z == pytest.approx(z[look])
    assert np.isinf(z[: SHORTEST - 1]).all()


def test_too_few_looks_say_nothing() -> None:
    assert change([0.1] * (SHORTEST - 1), 0.01, 0.05) is None


def test_noise_is_that_of_steps_but_for_jumps() -> None:
    """Normal noise of 1, to 10 %, with and without four jumps of 100; and no less than sampling gives."""
    x = np.random.default_rng(0).standard_normal(2000)
    jumps = x + 100 * (np.arange(2000) // 400)
    assert noise(x, 0.0)[-1] == pytest.approx(1, abs=0.1)
    assert noise(jumps, 0.0)[-1] == pytest.approx(1, abs=0.1)
    assert noise(x, 3.0)[-1] == 3


def test_improvement_never_counts() -> None:
    """Adding any course that falls lowers z: means of later windows fall at least as much as those of earlier ones."""
    random = np.random.default_rng(0)
    x, sigma = courses(200, LOOKS, random), np.ones((200, LOOKS))
    falling = -np.cumsum(random.exponential(size=(200, LOOKS)), axis=1)
    assert (scan(x + falling, sigma)[:, SHORTEST - 1 :] <= scan(x, sigma)[:, SHORTEST - 1 :] + 1e-9).all()


# Healthy runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.02, 0.005])
def test_false_alarms_are_as_rare_as_asked_for(level: float) -> None:
    """Of 4,000 fresh healthy runs of the kind that is simulated, to three standard deviations and a quarter."""
    x = courses(4_000, LOOKS, np.random.default_rng(99))
    z = scan(x, noise(x, 1e-9))
    strongest = np.max([z[:, look] / healthy().scale[look] for look in range(SHORTEST - 1, LOOKS)], axis=0)
    alarms = float((strongest >= healthy().threshold(level)).mean())
    assert abs(alarms - level) < 3 * (level / 4_000) ** 0.5 + level / 4


def test_the_threshold_is_where_the_chance_is() -> None:
    for chance in (0.02, 0.001, 1e-5):
        assert healthy().chance(healthy().threshold(chance)) == pytest.approx(chance)
    assert healthy().threshold(1e-4) > healthy().threshold(1e-3) > healthy().threshold(0.02)


def test_a_longer_run_needs_more() -> None:
    several = Healthy(healthy().scale, healthy().strongest, periods=10)
    assert several.threshold(0.001) == pytest.approx(healthy().threshold(0.0001))


# Courses -----------------------------------------------------------------------------------------------------------

TERMS = {"averaged/recall": Terms(0.01, 0.05), "averaged/bins": Terms(0.01, 0.05)}


def course(recall: np.ndarray, bins: np.ndarray) -> Course:
    made = Course()
    for look, pair in enumerate(zip(recall, bins, strict=True)):
        made.add(100 * (look + 1), dict(zip(TERMS, map(float, pair), strict=True)))
    return made


def test_the_alarm_names_the_series_and_when_it_began() -> None:
    made = course(series((10, 0.3), (3, 0.7), deviation=0.01), series((13, 0.2), deviation=0.01))
    strongest, other = Rule(healthy(), 0.01).evidence(made, TERMS)
    assert strongest.series == "averaged/recall"
    assert strongest.ratio > 1 > other.ratio
    assert strongest.since == 1100
    assert strongest.chance < 0.01 < other.chance
    assert (strongest.before, strongest.after) == pytest.approx((0.3, 0.7), abs=0.03)


def test_one_bad_look_is_no_alarm() -> None:
    recall = series((12, 0.3), deviation=0.01)
    recall[[5, 8, 11]] = 0.9
    rule = Rule(healthy(), 0.01)
    made = Course()
    for look, loss in enumerate(recall):
        made.add(look, {"averaged/recall": float(loss), "averaged/bins": 0.2})
        assert all(one.ratio < 1 for one in rule.evidence(made, TERMS))


def test_a_course_begins_when_something_has_been_learned() -> None:
    made = course(np.array([1.0, 0.95, 0.8, 0.95]), np.array([0.4] * 4))
    assert made.images == [300, 400]
    assert LEARNED == 0.9


def test_a_new_chapter_has_a_course_of_its_own() -> None:
    made = course(np.array([0.5] * 4), np.array([0.1] * 4))
    series = list(made.losses)
    made.enter("", series)
    assert len(made.images) == 4
    made.enter("stage_two", series)
    assert (made.images, made.losses) == ([], {})


def test_a_course_of_other_series_is_begun_anew() -> None:
    """As where a run goes on that was begun before there was an indicator."""
    made = course(np.array([0.5] * 4), np.array([0.1] * 4))
    made.enter("", [*made.losses, "averaged/new"])
    assert (made.images, made.losses) == ([], {})


def test_what_was_undone_is_forgotten() -> None:
    made = course(np.arange(5) / 10, np.zeros(5))
    made.cut(300)
    assert made.images == [100, 200, 300]
    assert made.losses["averaged/recall"] == [0, 0.1, 0.2]
    assert Course(**made.plain()) == made


def test_lacking_counts_looks_in_a_row_that_found_hardly_anything() -> None:
    made = course(np.array([0.99, 0.7, 0.8, 0.9]), np.array([0.9, 0.9, 0.6, 0.7]))
    assert made.lacking == [300, 400]
    made.add(500, {"averaged/recall": 0.9, "averaged/bins": 0.1})
    assert made.lacking == []


def test_calm_is_near_the_best_in_every_series() -> None:
    """Noise 0.01 and least 0.05: up to 0.025 + 0.02 above the best pair of looks."""
    flat = [0.3] * 4
    assert calm(course(np.array([*flat, 0.34]), np.array([*flat, 0.34])), TERMS)
    assert not calm(course(np.array([*flat, 0.34]), np.array([*flat, 0.36])), TERMS)
    assert calm(Course(), TERMS)
