"""Runs that are killed, stopped, damaged or without room end as the run that never stopped; short form."""

from tests.attacks.kills import attack


def test_a_run_that_was_ended_in_any_way_is_the_run_that_never_stopped() -> None:
    tally = attack(count=5, seed=1)
    assert tally.failed == []
