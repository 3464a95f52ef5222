"""The alarm: silent for a healthy generator and for one that has not learned, loud for one that lost half."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlab.callbacks import collapse
from ganlab.callbacks.collapse import Collapse, Course, Indicator
from ganlab.errors import UserError
from ganlab.metrics.diversity import Level

Make = Callable[..., Any]


def alarms(gaps: Sequence[float], lacking: Sequence[bool] = (), course: Course | None = None) -> list[bool]:
    """Measured every 100 images seen."""
    course = course or Course()
    found = [*lacking, *[False] * (len(gaps) - len(lacking))]
    return [course.alarm(gap, found[i], 100 * (i + 1)) for i, gap in enumerate(gaps)]


def test_silent_while_it_learns() -> None:
    assert not any(alarms([1.0, 1.0, 1.0, 0.95, 0.8, 0.7, 0.5, 0.4]))


def test_silent_when_it_is_merely_not_perfect() -> None:
    assert not any(alarms([1.0, 0.7, 0.6, 0.65, 0.6, 0.7, 0.62, 0.6]))


def test_loud_when_half_of_what_was_covered_is_lost_for_good() -> None:
    """Best at 0.4, so 0.6 covered; a gap of 0.75 leaves 0.25, less than 0.3. The second in a row is the alarm."""
    course = Course()
    assert alarms([0.9, 0.6, 0.4, 0.75, 0.75, 0.8], course=course) == [False, False, False, False, True, True]
    assert course.since == 400


def test_one_bad_measurement_is_no_alarm() -> None:
    assert not any(alarms([0.4, 0.9, 0.4, 0.9, 0.4, 0.8]))


def test_loud_when_it_was_found_lacking_twice() -> None:
    assert alarms([1.0, 1.0, 0.95, 0.97], [False, True, True, True]) == [False, False, True, True]


def test_a_gap_is_zero_at_the_healthy_level_and_one_at_the_worst() -> None:
    """Recall falls from 0.8 to 0, the divergence rises from 0.1 to log 2; beyond either end nothing changes."""
    recall = Indicator("recall", lambda a, b: 0.0, Level(0.8, 0.01), 0.0)
    bins = Indicator("bin_js", lambda a, b: 0.0, Level(0.1, 0.01), log(2))
    assert [recall.gap(value) for value in (0.9, 0.8, 0.4, 0.0)] == pytest.approx([0, 0, 0.5, 1])
    assert [bins.gap(value) for value in (0.0, 0.1, (0.1 + log(2)) / 2, log(2))] == pytest.approx([0, 0, 0.5, 1])


def ten_gaussians(modes: int, seed: int, count: int = 1000) -> torch.Tensor:
    """Samples of the first `modes` of ten Gaussians far apart, in eight dimensions."""
    centers = 4 * torch.randn(10, 8, generator=torch.Generator().manual_seed(0))
    return centers[torch.arange(count) % modes] + torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def indicators() -> list[Indicator]:
    real = torch.cat([ten_gaussians(10, 1), ten_gaussians(10, 2)])
    return Collapse()._indicators(real, 1000)


def test_healthy_samples_stay_near_the_healthy_level_and_lost_modes_do_not(indicators: list[Indicator]) -> None:
    """Fresh samples of all modes: within 5 sd. Of five modes: recall near half of its level, JS that of halves.

    With p = (1/2, 1/2) and q = (1, 0) the middle is (3/4, 1/4), so KL(p | m) = log(2/3) / 2 + log(2) / 2 and
    KL(q | m) = log(4/3): their mean is 0.216.
    """
    reference = ten_gaussians(10, 1)
    recall, bins = indicators
    for indicator in indicators:
        assert abs(indicator.healthy.z(indicator.measure(reference, ten_gaussians(10, 3)))) < 5
    assert recall.measure(reference, ten_gaussians(5, 3)) == pytest.approx(recall.healthy.mean / 2, abs=0.05)
    halved = (log(2 / 3) / 2 + log(2) / 2 + log(4 / 3)) / 2
    assert bins.measure(reference, ten_gaussians(5, 3)) == pytest.approx(halved, abs=0.02)


def test_shrunken_modes_show_in_recall(indicators: list[Indicator]) -> None:
    recall, _ = indicators
    centers = ten_gaussians(10, 3).reshape(100, 10, 8).mean(0).repeat(100, 1)
    shrunken = centers + 0.5 * (ten_gaussians(10, 3) - centers)
    assert recall.gap(recall.measure(ten_gaussians(10, 1), shrunken)) > 0.5


def watch(**kwargs: Any) -> Collapse:
    return Collapse(**{"every": 40, "count": 150, "extractor": "small", "patience": 0, **kwargs})


def test_logged_on_schedule_and_warned_of_once(
    vanilla: Make, noise: Make, run: Make, kept: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A generator of 20 iterations covers nothing of the noise: an alarm in the second half, once, with its start."""
    watcher = watch()
    run(vanilla(), noise(count=400), 20, watcher)
    assert kept.steps("collapse/recall") == kept.steps("collapse/bin_js") == [5, 10, 15, 20]
    lines = [line for line in capsys.readouterr().err.splitlines() if "mode collapse" in line]
    assert len(lines) == 1
    assert "since 80 images seen" in lines[0]
    again = watch()
    again.load_state_dict(watcher.state_dict())
    run(vanilla(), noise(count=400), 20, again)
    assert "mode collapse" not in capsys.readouterr().err


def test_silent_in_a_run_that_is_too_short_to_have_learned(
    vanilla: Make, noise: Make, run: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    run(vanilla(), noise(count=400), 20, watch(patience=100_000))
    assert "mode collapse" not in capsys.readouterr().err


def test_the_healthy_level_is_computed_once(noise: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    first = watch()._indicators(real, 150)
    monkeypatch.setattr(collapse, "split_half", lambda *args: pytest.fail("computed again"))
    assert [one.healthy for one in watch()._indicators(real, 150)] == [one.healthy for one in first]


def test_too_few_pictures_are_said_once(
    vanilla: Make, noise: Make, run: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    trainer = run(vanilla(), noise(), 11, watch())
    lines = [line for line in capsys.readouterr().err.splitlines() if "cannot measure collapse" in line]
    assert trainer.global_step == 11
    assert len(lines) == 1


def test_bad_settings() -> None:
    with pytest.raises(UserError, match="`split` must be"):
        Collapse(split="all")
