"""The short form of the attack by odd pictures, and proof that its judge notices what it is there for."""

from __future__ import annotations

import numpy as np
import pytest

from tests.attacks.forked import Ended, forked
from tests.attacks.pictures import Case, attack, judge

COLORS = np.full((2, 2, 3), 100)
FILLERS = np.stack([np.full((3, 16, 16), level) for level in (10, 20)])


def read(level: int | None, words: str = "") -> Ended:
    """Both plain pictures and, unless `level` is None, a third of that level."""
    odd = [] if level is None else [np.full((1, 3, 16, 16), level)]
    return Ended("read", words, np.concatenate([FILLERS, *odd]))


def test_short() -> None:
    assert attack(count=20, seed=7).failed == []


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [
        (read(100), "right"),
        (read(103), "SILENTLY WRONG"),
        (read(None), "SILENTLY DROPPED"),
        (read(None, "1 of 3 files are left out"), "left out though whole"),
        (Ended("refused", "no"), "refused though whole"),
        (Ended("hang"), "hang"),
    ],
)
def test_the_judge_of_a_whole_picture(ended: Ended, outcome: str) -> None:
    whole = Case("whole", "odd.png", lambda path: path.touch(), COLORS, slack=2, must_read=True)
    assert judge(whole, ended) == outcome


def test_a_case_that_never_ends_or_kills_its_process_is_an_outcome() -> None:
    assert forked(lambda: __import__("time").sleep(60), 0.2).how == "hang"
    assert forked(lambda: __import__("os")._exit(3), 20).how == "crash"
    assert forked(lambda: 1 / 0, 20).how == "traceback"
