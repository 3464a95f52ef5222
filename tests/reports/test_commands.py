"""`ganlab.table` and `ganlab.report` as a person types them: fast, and one line for a mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ganlab.reports.commands import next_commands
from tests.reports.conftest import MakeRun


def typed(folder: Path, module: str, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", f"ganlab.{module}", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert "import time" in done.stderr
    assert not any(line.split("|")[-1].strip() == "torch" for line in done.stderr.splitlines()), "torch was loaded"
    return done


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if not line.startswith("import time")]


def test_a_table_and_a_plot_are_written_without_torch(make_run: MakeRun, tmp_path: Path) -> None:
    for seed in (0, 1):
        make_run(f"runs/{seed}", seed)
    done = typed(tmp_path, "table", "runs", "out=table.md", "plot=curves.png")
    assert done.stdout.split() == ["table.md", "curves.png"]
    assert "| tiny | 2 |" in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize(
    ("done", "planned", "words"),
    [(60, 60, " trainer.max_steps=120"), (21, 400, ""), (21, -1, ""), (21, None, " trainer.max_steps=42")],
)
def test_a_run_that_has_not_ended_goes_on_to_its_own_end(done: int, planned: int | None, words: str) -> None:
    """Twice the iterations of a stopped run would be a new, earlier end, and other schedules."""
    recipe = {} if planned is None else {"trainer": {"max_steps": planned}}
    line = next_commands("runs/mine", recipe, {"iterations": done})["resume"]
    assert line == f"python -m ganlab.fit resume=runs/mine{words}"


def test_a_report_is_written_without_torch(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("runs/0", sheets=True)
    assert typed(tmp_path, "report", "runs/0").stdout.split() == ["runs/0/report.html"]
    make_run("runs/1", 1)
    assert typed(tmp_path, "report", "runs/*").stdout.split() == ["comparison.html"]


@pytest.mark.parametrize(
    ("module", "words", "line"),
    [
        ("table", (), "ganlab.table: runs are needed: python -m ganlab.table runs/ring/0 runs/ring/1"),
        ("table", ("nowhere",), "ganlab.table: `nowhere` is no run: a run's folder has a recipe.yaml"),
        ("table", ("runs", "format=html"), "ganlab.table: `format` 'html' is unknown: "),
        ("table", ("runs", "plot=a.txt"), "ganlab.table: `plot` must end in .png, .svg or .pdf, got a.txt"),
        ("report", (), "ganlab.report: a run is needed"),
        ("report", ("nowhere",), "ganlab.report: `nowhere` is no run"),
    ],
)
def test_nonsense_is_one_line(tmp_path: Path, module: str, words: tuple[str, ...], line: str) -> None:
    done = typed(tmp_path, module, *words)
    assert done.returncode == 2
    (only,) = said(done)
    assert only.startswith(line)


def test_a_damaged_summary_says_what_to_do(make_run: MakeRun, tmp_path: Path) -> None:
    """One such file stops the table of a whole sweep."""
    make_run("runs/0")
    summary = make_run("runs/1") / "summary.json"
    summary.write_text('{"best": ')
    (line,) = said(typed(tmp_path, "table", "runs"))
    assert line.startswith("ganlab.table: runs/1/summary.json is damaged (") and line.endswith("counts as unfinished")
    summary.unlink()
    assert typed(tmp_path, "table", "runs").returncode == 0
