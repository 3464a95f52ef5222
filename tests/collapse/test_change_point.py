"""The test for a change for the worse, and the rate of its false alarms in healthy runs."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from ganlab.collapse.change_point import (
    MIN_LOOKS,
    best_earlier_means,
    detect_change,
    noise,
    recent_means,
    scan,
    window_extremes,
    window_sums,
)
from ganlab.collapse.history import LEARNED, CollapseTest, History, Tolerance, is_near_best
from ganlab.collapse.null_distribution import NullDistribution, constant_series, tabulate

LOOKS = 20


@cache
def null() -> NullDistribution:
    """For runs of 20 looks, from 8,000 simulated runs."""
    numbers = tabulate(LOOKS, runs=8_000)
    return NullDistribution(numbers[:LOOKS], numbers[LOOKS:])


def series(*parts: tuple[int, float], deviation: float = 0.0, seed: int = 0) -> np.ndarray:
    """(looks, level) one after the other, with normal noise."""
    levels = np.concatenate([np.full(looks, level) for looks, level in parts])
    return levels + deviation * np.random.default_rng(seed).standard_normal(len(levels))


# The statistic -----------------------------------------------------------------------------------------------------


def test_extremes_of_windows() -> None:
    x = np.random.default_rng(0).standard_normal((2, 30))
    for length in (1, 2, 3, 6, 24, 30):
        seen = np.lib.stride_tricks.sliding_window_view(x, length, axis=-1)
        assert np.array_equal(window_extremes(x, length, np.maximum), seen.max(axis=-1))
        assert np.allclose(window_sums(x, length), seen.sum(axis=-1))


def test_windows_without_their_luckiest_look() -> None:
    """Of 4, 2, 6, 8, by pairs: the larger of each, the lowest so far; the smaller of each, as it comes."""
    x = np.array([4.0, 2.0, 6.0, 8.0])
    assert best_earlier_means(x, 2).tolist() == [4, 4, 4]
    assert recent_means(x, 2).tolist() == [2, 2, 6]
    assert recent_means(x, 4).tolist() == [(4 + 2 + 6) / 3]


def test_z_of_a_jump_is_what_the_formula_says() -> None:
    """Level 0.1 for six looks, 0.5 for two, least 0.05, noise 0.01: (0.4 - 0.05) / (0.01 sqrt(1/5 + 1/1))."""
    found = detect_change(series((6, 0.1), (2, 0.5)).tolist(), 0.01, 0.05)
    assert found is not None
    assert found.z == pytest.approx(0.35 / (0.01 * (1 / 5 + 1) ** 0.5))
    assert (found.onset, found.before, found.after) == pytest.approx((6, 0.1, 0.5))


def test_the_scan_of_a_run_ends_with_its_change() -> None:
    x = series((9, 0.3), (6, 0.4), deviation=0.02)
    z = scan(x, noise(x, 0.01), 0.05)
    for look in range(MIN_LOOKS, len(x)):
        found = detect_change(x[: look + 1].tolist(), 0.01, 0.05)
        assert found is not None and found.z == pytest.approx(z[look])
    assert np.isinf(z[: MIN_LOOKS - 1]).all()


def test_too_few_looks_say_nothing() -> None:
    assert detect_change([0.1] * (MIN_LOOKS - 1), 0.01, 0.05) is None


def test_noise_is_that_of_steps_but_for_jumps() -> None:
    """Normal noise of 1, to 10 %, with and without four jumps of 100; and no less than sampling gives."""
    x = np.random.default_rng(0).standard_normal(2000)
    jumps = x + 100 * (np.arange(2000) // 400)
    assert noise(x, 0.0)[-1] == pytest.approx(1, abs=0.1)
    assert noise(jumps, 0.0)[-1] == pytest.approx(1, abs=0.1)
    assert noise(x, 3.0)[-1] == 3


def test_improvement_never_counts() -> None:
    """Adding a series that falls lowers z: later windows fall at least as much as earlier ones."""
    random = np.random.default_rng(0)
    x, sigma = constant_series(200, LOOKS, random), np.ones((200, LOOKS))
    falling = -np.cumsum(random.exponential(size=(200, LOOKS)), axis=1)
    assert (scan(x + falling, sigma)[:, MIN_LOOKS - 1 :] <= scan(x, sigma)[:, MIN_LOOKS - 1 :] + 1e-9).all()


# Healthy runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.02, 0.005])
def test_false_alarms_are_as_rare_as_asked_for(level: float) -> None:
    """Of 4,000 fresh healthy runs of the kind that is simulated, to three standard deviations and a quarter."""
    x = constant_series(4_000, LOOKS, np.random.default_rng(99))
    z = scan(x, noise(x, 1e-9))
    strongest = np.max([z[:, look] / null().scale[look] for look in range(MIN_LOOKS - 1, LOOKS)], axis=0)
    alarms = float((strongest >= null().threshold(level)).mean())
    assert abs(alarms - level) < 3 * (level / 4_000) ** 0.5 + level / 4


def test_the_threshold_is_where_the_chance_is() -> None:
    for chance in (0.02, 0.001, 1e-5):
        assert null().p_value(null().threshold(chance)) == pytest.approx(chance)
    assert null().threshold(1e-4) > null().threshold(1e-3) > null().threshold(0.02)


def test_a_longer_run_needs_more() -> None:
    several = NullDistribution(null().scale, null().maxima, periods=10)
    assert several.threshold(0.001) == pytest.approx(null().threshold(0.0001))


# Histories ---------------------------------------------------------------------------------------------------------

TOLERANCES = {"averaged/recall": Tolerance(0.01, 0.05), "averaged/bins": Tolerance(0.01, 0.05)}


def history(recall: np.ndarray, bins: np.ndarray) -> History:
    made = History()
    for look, pair in enumerate(zip(recall, bins, strict=True)):
        made.add(100 * (look + 1), dict(zip(TOLERANCES, map(float, pair), strict=True)))
    return made


def test_the_alarm_names_the_series_and_when_it_began() -> None:
    made = history(series((10, 0.3), (3, 0.7), deviation=0.01), series((13, 0.2), deviation=0.01))
    strongest, other = CollapseTest(null(), 0.01).statistics(made, TOLERANCES)
    assert strongest.series == "averaged/recall"
    assert strongest.ratio > 1 > other.ratio
    assert strongest.since == 1100
    assert strongest.p_value < 0.01 < other.p_value
    assert (strongest.before, strongest.after) == pytest.approx((0.3, 0.7), abs=0.03)


def test_one_bad_look_is_no_alarm() -> None:
    recall = series((12, 0.3), deviation=0.01)
    recall[[5, 8, 11]] = 0.9
    test = CollapseTest(null(), 0.01)
    made = History()
    for look, loss in enumerate(recall):
        made.add(look, {"averaged/recall": float(loss), "averaged/bins": 0.2})
        assert all(one.ratio < 1 for one in test.statistics(made, TOLERANCES))


def test_a_history_begins_when_something_has_been_learned() -> None:
    made = history(np.array([1.0, 0.95, 0.8, 0.95]), np.array([0.4] * 4))
    assert made.images == [300, 400]
    assert LEARNED == 0.9


def test_a_new_phase_has_a_history_of_its_own() -> None:
    made = history(np.array([0.5] * 4), np.array([0.1] * 4))
    series = list(made.losses)
    made.enter("", series)
    assert len(made.images) == 4
    made.enter("stage_two", series)
    assert (made.images, made.losses) == ([], {})


def test_a_history_of_other_series_starts_over() -> None:
    """A run of an older version, which had fewer indicators, is resumed."""
    made = history(np.array([0.5] * 4), np.array([0.1] * 4))
    made.enter("", [*made.losses, "averaged/new"])
    assert (made.images, made.losses) == ([], {})


def test_what_was_undone_is_forgotten() -> None:
    made = history(np.arange(5) / 10, np.zeros(5))
    made.truncate(300)
    assert made.images == [100, 200, 300]
    assert made.losses["averaged/recall"] == [0, 0.1, 0.2]
    assert History(**made.state()) == made


def test_lacking_counts_looks_in_a_row_that_found_hardly_anything() -> None:
    made = history(np.array([0.99, 0.7, 0.8, 0.9]), np.array([0.9, 0.9, 0.6, 0.7]))
    assert made.lacking == [300, 400]
    made.add(500, {"averaged/recall": 0.9, "averaged/bins": 0.1})
    assert made.lacking == []


def test_near_best_holds_in_every_series() -> None:
    """Noise 0.01 and least 0.05: up to 0.025 + 0.02 above the best pair of looks."""
    flat = [0.3] * 4
    assert is_near_best(history(np.array([*flat, 0.34]), np.array([*flat, 0.34])), TOLERANCES)
    assert not is_near_best(history(np.array([*flat, 0.34]), np.array([*flat, 0.36])), TOLERANCES)
    assert is_near_best(History(), TOLERANCES)
