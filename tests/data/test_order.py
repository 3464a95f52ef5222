"""Computed permutations are permutations, look random, and agree with the passes of small sets."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from ganlab.data.order import LARGE, Balanced, key, permuted, rows_at


@pytest.mark.parametrize("size", [*range(1, 40), 1000, 12_345, 99_991])
def test_a_permutation_takes_every_value_once(size: int) -> None:
    found = permuted(np.arange(size), size, key(3, np.array(7)))
    assert sorted(found) == list(range(size))


def test_keys_give_different_permutations_without_favourites() -> None:
    """6,000 keys, 6 places: each value comes to each place 1,000 times, with a deviation of 28.9."""
    counts = np.zeros((6, 6))
    for seed in range(6000):
        counts[np.arange(6), permuted(np.arange(6), 6, key(seed, np.array(0)))] += 1
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(6000 / 6 * 5 / 6)


def test_neighbours_end_up_apart() -> None:
    """Of a random permutation of N the mean distance of neighbours is N / 3, with a deviation of 0.24 N / 100 here."""
    size = 50_000_000
    found = permuted(np.arange(10_000), size, key(0, np.array(1)))
    assert np.abs(np.diff(found)).mean() / size == pytest.approx(1 / 3, abs=5 * 0.0024)
    assert np.corrcoef(found[:-1], found[1:])[0, 1] == pytest.approx(0, abs=0.05)


def test_a_large_set_is_passed_through_as_a_small_one() -> None:
    whole = rows_at(LARGE - 5, 10, LARGE, seed=1)
    assert rows_at(LARGE - 2, 4, LARGE, seed=1).tolist() == whole[3:7].tolist()
    first, second = (rows_at(start, LARGE, LARGE, seed=1) for start in (0, LARGE))
    assert (np.bincount(first, minlength=LARGE) == 1).all() and (np.bincount(second, minlength=LARGE) == 1).all()
    assert (first == second).mean() < 1e-4


def test_a_set_of_a_hundred_million_needs_no_memory() -> None:
    tracemalloc.start()
    rows = rows_at(10**15, 256, 10**8, seed=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**18 and len(set(rows.tolist())) == 256


def test_balance_is_a_function_of_the_position() -> None:
    balance = Balanced(np.array([0] * 90 + [2] * 10 + [5]))
    whole = balance.rows_at(0, 300, seed=4)
    assert balance.rows_at(17, 100, seed=4).tolist() == whole[17:117].tolist()
    assert balance.rows_at(0, 300, seed=5).tolist() != whole.tolist()
    classes = np.digitize(whole, [90, 100])
    assert (np.sort(classes.reshape(-1, 3), axis=1) == [0, 1, 2]).all()
    assert sorted(whole[classes == 1][:10]) == list(range(90, 100))
    assert len(set(whole[classes == 0][:90])) == 90
