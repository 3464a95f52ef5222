"""What a person sees of a run that takes long."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from rich.console import Console

from ganlab.callbacks import progress
from ganlab.callbacks.display import Bar, losses
from ganlab.callbacks.pace import WINDOW, Pace
from ganlab.callbacks.progress import IterationBar

Make = Callable[..., Any]


def test_lines_with_losses_speed_and_time_left_where_there_is_no_terminal(
    vanilla: Make, noise: Make, run: Make, kept: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run(vanilla(), noise(), 12, IterationBar(seconds=0))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("iteration")]
    assert [line.split()[1] for line in lines] == [f"{done}/12" for done in range(1, 13)]
    assert all(word in lines[-1] for word in ("D ", "G ", "images/s", "0:00 left"))
    assert kept.steps("throughput/images_per_second") == [5, 10]
    assert kept.rows[10]["throughput/images_per_second"] > 0


def test_losses_are_in_the_first_line(
    vanilla: Make, noise: Make, run: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first row of the log, every 5 iterations here, they are means of what has not been logged yet."""
    run(vanilla(), noise(), 3, IterationBar(seconds=0))
    first = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("iteration 1/3"))
    assert "D " in first and "G " in first


def test_the_time_of_the_run_is_said_once_from_its_first_iterations(
    vanilla: Make, noise: Make, run: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SURE", 0.0)
    run(vanilla(), noise(), 12, IterationBar(seconds=60))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("  about ")]
    assert len(lines) == 1 and lines[0].endswith("for 12 iterations, and the time of measurements")


def test_one_line_at_the_end_of_a_quick_run(
    vanilla: Make, noise: Make, run: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    run(vanilla(), noise(), 3, IterationBar(seconds=60))
    assert capsys.readouterr().err.count("iteration 3/3") == 1


def test_a_bar_on_a_terminal() -> None:
    file = io.StringIO()
    bar = Bar(Console(file=file, force_terminal=True, width=120))
    bar.update(3, 12, "D 1.000")
    bar.stop()
    assert "3/12" in file.getvalue()
    assert "D 1.000" in file.getvalue()


def test_a_side_s_loss_is_the_sum_of_its_terms() -> None:
    metrics = {
        "discriminator/realism": torch.tensor(1.0),
        "discriminator/r1": torch.tensor(0.5),
        "discriminator/gradient_norm": torch.tensor(9.0),
        "generator/realism": torch.tensor(2.0),
    }
    assert losses(metrics) == "D 1.500  G 2.000"
    assert losses({}) == ""


def test_pace_is_that_of_the_last_while() -> None:
    """First 10 images a second for a long time, then 100: after a window of that, nothing is left of the first."""
    pace = Pace()
    for second in range(100):
        pace.mark(second, 10 * second, second)
    assert pace.images_per_second() == pytest.approx(10)
    assert pace.seconds_left(50) == pytest.approx(50)
    for second in range(int(WINDOW) + 2):
        pace.mark(100 + second, 1000 + 100 * second, 100 + second)
    assert pace.images_per_second() == pytest.approx(100)


def test_nothing_is_said_of_the_time_left_before_it_is_known() -> None:
    pace = Pace()
    pace.mark(0.0, 0, 0)
    assert pace.seconds_left(10) is None
    assert pace.images_per_second() == 0
