"""What a run leaves for a reader: its page from the first look on, its summary, and commands that work as printed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from ganlab.callbacks.checkpoints import Checkpoints
from ganlab.config.recipe import compose
from ganlab.config.stored import trusted
from ganlab.config.trust import allowances
from ganlab.reports.commands import next_commands
from ganlab.runs import reporting
from ganlab.runs.memory import forget_peaks, peaks
from ganlab.runs.training import train

RING = (
    *("recipe=ring", "batch_size=8", "trainer.max_steps=6", "trainer.log_every_n_steps=1", "data.count=300"),
    *("data.held_out_count=100", "callbacks.quality.count=64", "callbacks.collapse=null", "callbacks.game=null"),
    *("callbacks.pictures.every=16", "network.generator.width=8", "network.discriminator.width=8"),
)


def test_the_page_is_there_from_the_start_and_whole_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at 0, 16, 32 and 48 images seen; the page at each holds the sheets and the rows so far."""
    monkeypatch.setattr(reporting, "SHARE", 1e9)
    seen: list[tuple[int, int, bool]] = []
    whole = Checkpoints.on_train_batch_start

    def noted(self: Checkpoints, trainer: pl.Trainer, *args: Any) -> None:
        text = (tmp_path / "report.html").read_text()
        seen.append((trainer.global_step, text.count('"src": "data:'), "iterations so far" in text))
        whole(self, trainer, *args)

    monkeypatch.setattr(Checkpoints, "on_train_batch_start", noted)
    train(compose(*RING, f"run_dir={tmp_path}"))
    assert seen == [(0, 1, True), (1, 1, True), (2, 2, True), (3, 2, True), (4, 3, True), (5, 3, True)]
    text = (tmp_path / "report.html").read_text()
    assert text.count('"src": "data:') == 4 and '<span class="state">ended</span>' in text
    assert not list(tmp_path.glob(".*.part"))


def test_reports_take_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that comes before the last page has paid for itself writes none: of 4 looks here only the first does."""
    written: list[float] = []
    real = reporting.write_report
    monkeypatch.setattr(reporting, "write_report", lambda *args: (written.append(time.monotonic()), real(*args))[1])
    monkeypatch.setattr(reporting, "SHARE", 1e-9)
    train(compose(*RING, f"run_dir={tmp_path}"))
    assert len(written) == 2  # the first look, and the end


def test_a_page_that_cannot_be_drawn_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.html").mkdir()  # a folder in its place
    monkeypatch.setattr(reporting, "SHARE", 1e9)
    train(compose(*RING, f"run_dir={tmp_path}"))
    assert json.loads((tmp_path / "summary.json").read_text())["iterations"] == 6
    assert capsys.readouterr().err.count("cannot write") == 1


def test_the_summary_of_a_python_call_has_its_words(tmp_path: Path) -> None:
    train(compose(*RING, "seed=3", f"run_dir={tmp_path}"))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["command"] == f"python -m ganlab.fit {' '.join(RING)} seed=3"
    assert (summary["seed"], summary["condition"]) == (3, "none")
    assert summary["protocols"]["modes_and_quality"]["samples"] == 64


def test_the_peak_of_memory_begins_anew() -> None:
    """64 MB that were held and freed before do not count."""
    held = torch.ones(2**24)
    assert peaks()["process"] >= held.nbytes
    before = peaks()["process"]
    del held
    forget_peaks()
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux begins anew")
    assert peaks()["process"] < before - 2**25


# Commands that work as they are printed -------------------------------------------------------------------------------

MINE = """
from ganlab.objectives import NonSaturating

class Mine(NonSaturating):
    pass
"""


def test_closing_lines_carry_the_allowance_that_the_run_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    train(compose(*RING, "objective._target_=mine.Mine", "run_dir=run"))
    lines = capsys.readouterr().out.splitlines()
    printed = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if "python -m ganlab." in line}
    assert all(line.endswith((" allow='[mine]'", " allow=[mine]")) for line in printed.values())
    python, *words = shlex.split(printed["sample"])
    done = subprocess.run(
        [sys.executable, *words, "out=drawn"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert python == "python" and done.returncode == 0, done.stderr
    assert (tmp_path / "drawn" / "grid.png").is_file()
    page = (tmp_path / "run" / "report.html").read_text()
    assert len(re.findall(r"allow=(?:&#39;)?\[mine\]", page)) == 3


def test_a_model_of_the_hub_needs_the_hub_and_ganlab_s_own_need_nothing() -> None:
    assert allowances(compose("recipe=cgan_text2img")) == []
    elsewhere = compose("recipe=cgan_text2img", "condition.model=somebody/model")
    assert allowances(elsewhere) == ["hub"]
    commands = next_commands("runs/a b", elsewhere, {"condition": "text", "example": "a 'b'", "iterations": 6_000})
    assert shlex.split(commands["sample"])[3:] == ["checkpoint=runs/a b", "text=a 'b'", "count=16", "allow=[hub]"]
    assert shlex.split(commands["resume"])[3:] == ["resume=runs/a b", "trainer.max_steps=12000", "allow=[hub]"]


def test_words_in_a_stored_recipe_are_never_interpolated(tmp_path: Path) -> None:
    train(compose(*RING, f"run_dir={tmp_path}"))
    file = tmp_path / "recipe.yaml"
    lines = file.read_text().replace("- recipe=ring\n", "- recipe=ring\n- gamma=${oc.env:HOME}\n- 7\n").splitlines()
    (tmp_path / "checkpoints").rename(tmp_path / "elsewhere")
    file.write_text("\n".join(lines[:-1]) + "\n")  # without a checkpoint its checksum does not count
    assert trusted(tmp_path)["recipe"] == "ring"
    (tmp_path / "elsewhere").rename(tmp_path / "checkpoints")
    again = compose(f"resume={tmp_path}", "trainer.max_steps=8")
    assert again["overrides"][0] == "recipe=ring" and "trainer.max_steps=8" in again["overrides"]
    assert not any("oc.env" in word or "HOME" in word for word in again["overrides"])
