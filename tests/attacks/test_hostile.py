"""The short form of the hostile checkpoints and run folders."""

from __future__ import annotations

from tests.attacks.hostile import attack


def test_nothing_runs_and_nothing_leaks() -> None:
    tally = attack(12, seed=2, names=("points",), separate=0)
    assert not tally.failed, tally.table()
