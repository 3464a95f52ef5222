"""The short form of the attack by odd captions, and proof that its judge notices what it is there for."""

from __future__ import annotations

import pytest

from tests.attacks.captions import NAMES, Case, attack, judge
from tests.attacks.forked import Ended

ALL = {name: [name] for name in NAMES}
SOME = {name: [name] for name in NAMES[:2]}


def test_short() -> None:
    assert attack(count=20, seed=7).failed == []


@pytest.mark.parametrize(
    ("told", "ended", "outcome"),
    [
        (ALL, Ended("read", "", ALL), "right"),
        (ALL, Ended("read", "", {**ALL, "a.png": ["another"]}), "SILENTLY WRONG"),
        (ALL, Ended("refused", "no"), "refused though clear"),
        (SOME, Ended("read", "", SOME), "SILENTLY DROPPED"),
        (SOME, Ended("read", "3 pictures are left out", SOME), "right, and said what is missing"),
        (ALL, Ended("traceback"), "traceback"),
    ],
)
def test_the_judge(told: dict[str, list[str]], ended: Ended, outcome: str) -> None:
    assert judge(Case("case", {}, told), ended) == outcome


def test_a_refusal_is_right_where_two_readings_are_possible() -> None:
    assert judge(Case("case", {}, ALL, ambiguous=True), Ended("refused", "no")) == "refused in one line"
