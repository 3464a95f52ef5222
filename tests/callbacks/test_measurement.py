"""Looking at a run changes nothing in it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ganlab.callbacks.checkpoints import Checkpoints
from ganlab.callbacks.collapse import CollapseMonitor
from ganlab.callbacks.game import HeldOut
from ganlab.callbacks.measurement import EveryImages, Widening, undisturbed
from ganlab.callbacks.pictures import SampleGrid
from ganlab.callbacks.progress import IterationBar
from ganlab.callbacks.quality import Quality
from ganlab.core.randomness import random_states

Make = Callable[..., Any]


def everything() -> list[Any]:
    pictures, quality = SampleGrid(every=24, count=3), Quality(every=16, count=20, extractor="small")
    collapse = CollapseMonitor(every=32, count=100)
    return [pictures, quality, collapse, HeldOut(every=3), IterationBar(), Checkpoints(every=4)]


def test_a_run_that_is_looked_at_is_bit_for_bit_the_run_that_is_not(
    vanilla: Make, noise: Make, run: Make, snapshot: Make, same: Make
) -> None:
    seen = vanilla()
    run(seen, noise(count=200), 12, *everything())
    states = random_states()
    unseen = vanilla()
    run(unseen, noise(count=200), 12)
    assert same(snapshot(seen), snapshot(unseen))
    assert same(states, random_states())
    assert seen.training == unseen.training


def test_undisturbed_restores_every_global_random_state(same: Make) -> None:
    before = random_states()
    with pytest.raises(RuntimeError), undisturbed():
        torch.rand(3), np.random.rand(3), random.random()
        assert not torch.is_grad_enabled()
        raise RuntimeError
    assert same(before, random_states())


class Seen:
    """As much of a module as a schedule looks at."""

    images_seen = 0


def test_due_each_time_a_multiple_is_passed_whatever_the_batch() -> None:
    """64 images at a time: 100 is passed at 128, 200 at 256, 300 at 320."""
    schedule, module = EveryImages(100), Seen()
    schedule.start(module)  # type: ignore[arg-type]
    due = []
    for _ in range(6):
        module.images_seen += 64
        due.append(schedule.due(module))  # type: ignore[arg-type]
    assert due == [False, True, False, True, True, False]


def test_an_interval_doubles_on_its_own_grid() -> None:
    """100 images an interval, 200 after a doubling: times before and after are multiples of 100."""
    schedule, seen, times = Widening(100, share=0.1), Seen(), []
    schedule.start(seen)  # type: ignore[arg-type]
    for seen.images_seen in range(50, 1001, 50):
        if schedule.due(seen):  # type: ignore[arg-type]
            times.append(seen.images_seen)
        schedule.doublings = int(seen.images_seen >= 300)
    assert times == [100, 200, 300, 400, 600, 800, 1000]


def test_too_much_is_a_share_of_the_time_since_the_one_before() -> None:
    """The first measurement does not count. 2 of 10 s are more than a tenth, 2 of 30 s are not."""
    schedule = Widening(100, share=0.1)
    assert [schedule.spent(50, 100), schedule.spent(2, 110), schedule.spent(2, 140)] == [False, True, False]
