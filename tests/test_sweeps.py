"""Sweeps as a person types them: which job is which, and a table at the end; by joblib's launcher, too."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from tests.test_commands import type_in

TINY = (
    *("recipe=ring", "batch_size=8", "trainer.max_steps=4", "callbacks.quality.count=64", "data.count=300"),
    *("data.held_out_count=100", "callbacks.pictures=null", "callbacks.collapse=null", "callbacks.game=null"),
)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder of a sweep over two objectives and two seeds, its standard output, and its standard error."""
    folder = tmp_path_factory.mktemp("sweep")
    done = type_in(folder, "fit", "-m", *TINY, "objective=hinge,nonsaturating", "seed=1,2")
    return folder / "runs/ring/sweep-0", done.stdout, done.stderr


NAMES = [f"objective-{objective}_seed-{seed}" for objective in ("hinge", "nonsaturating") for seed in (1, 2)]


def test_jobs_say_which_they_are_and_have_folders_of_their_names(sweep: tuple[Path, str, str]) -> None:
    folder, _, said = sweep
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == NAMES
    lines = [line for line in said.splitlines() if line.startswith("ganlab: job")]
    assert lines[2] == (
        "ganlab: job 2: objective=nonsaturating seed=1 into runs/ring/sweep-0/objective-nonsaturating_seed-1"
    )
    assert len(lines) == 4


def test_it_ends_with_a_table_and_curves(sweep: tuple[Path, str, str]) -> None:
    folder, printed, said = sweep
    assert "modes_and_quality last" in printed
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert [(row["objective"], row["runs"]) for row in rows] == [("hinge", "2"), ("nonsaturating", "2")]
    assert (folder / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert "4 runs of ring" in (folder / "report.html").read_text()
    assert said.splitlines()[-1].startswith("ganlab: 4 runs in runs/ring/sweep-0: table.md")


def test_a_run_s_summary_says_how_it_was_made(sweep: tuple[Path, str, str]) -> None:
    run = sweep[0] / NAMES[1]
    summary = json.loads((run / "summary.json").read_text())
    assert summary["overrides"][-2:] == ["objective=hinge", "seed=2"]
    assert summary["command"].startswith("python -m ganlab.fit recipe=ring batch_size=8 ")
    assert summary["seed"] == 2
    assert {"ganlab", "torch", "python", "device"} <= summary["versions"].keys()
    assert summary["memory"]["process"] > 10_000_000
    assert set(summary["parameters"]) == {"generator", "discriminator"} and min(summary["parameters"].values()) > 0
    assert summary["protocols"]["modes_and_quality"]["samples"] == 64
    assert yaml.safe_load((run / "recipe.yaml").read_text())["overrides"][0] == "recipe=ring"
    assert (run / "report.html").is_file()


def test_the_command_of_a_summary_gives_the_same_run(sweep: tuple[Path, str, str], tmp_path: Path) -> None:
    before = json.loads((sweep[0] / NAMES[0] / "summary.json").read_text())
    module, *words = before["command"].split()[2:]
    type_in(tmp_path, module.removeprefix("ganlab."), *words, "run_dir=again")
    after = json.loads((tmp_path / "again" / "summary.json").read_text())
    assert after["metrics"] == before["metrics"] and after["command"] == before["command"]


def test_a_resumed_run_keeps_its_words(sweep: tuple[Path, str, str], tmp_path: Path) -> None:
    run = sweep[0] / NAMES[0]
    type_in(tmp_path, "fit", f"resume={run}", "trainer.max_steps=6")
    summary = json.loads((run / "summary.json").read_text())
    assert "objective=hinge" in summary["overrides"] and "trainer.max_steps=6" in summary["overrides"]
    assert "trainer.max_steps=4" not in summary["overrides"] and summary["iterations"] == 6


def test_joblib_runs_jobs_beside_each_other(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "run_dir=mine", "seed=1,2")
    done = type_in(tmp_path, "fit", "-m", *TINY, *words)
    runs = sorted(path.name for path in (tmp_path / "mine").iterdir() if path.is_dir())
    assert runs == ["seed-1", "seed-2"]
    (row,) = csv.DictReader((tmp_path / "mine/table.csv").read_text().splitlines())
    assert row["modes_and_quality last n"] == "2"
    assert "ganlab: job 1: seed=2 into mine/seed-2" in done.stderr


def test_a_sweep_goes_on_by_the_same_command(tmp_path: Path) -> None:
    words = ("-m", *TINY, "seed=1,2", "run_dir=mine", "resume=auto")
    type_in(tmp_path, "fit", *words)
    again = type_in(tmp_path, "fit", *words)
    assert again.stderr.count("is complete: 4 iterations") == 2
