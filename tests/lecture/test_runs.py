"""An experiment's runs: made once, found again, gone on with, whatever they are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from ganlab.config.recipe import compose
from ganlab.lecture import runs
from ganlab.lecture.runs import summary, trained
from ganlab.runs.training import train

QUIET = [f"callbacks.{name}=null" for name in ("pictures", "quality", "collapse", "progress", "game")]
WORDS = ["recipe=ring", "batch_size=8", "trainer.max_steps=4", "trainer.log_every_n_steps=2", *QUIET]
NAME = "minimax, no penalty (0)"


def test_a_run_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trained(tmp_path, {NAME: WORDS})[NAME]
    assert summary(made)["iterations"] == 4
    monkeypatch.setattr(runs, "train", lambda recipe: pytest.fail("trained again"))
    assert trained(tmp_path, {NAME: WORDS}) == {NAME: made}


def test_an_interrupted_run_goes_on_and_ends_where_it_was_meant_to(tmp_path: Path) -> None:
    train(compose(*WORDS, "trainer.max_steps=2", f"run_dir='{tmp_path / NAME}'"))
    (tmp_path / NAME / "summary.json").unlink()
    rows = (tmp_path / NAME / "metrics.csv").read_text()
    run = trained(tmp_path, {NAME: WORDS})[NAME]
    assert summary(run)["iterations"] == 4
    assert run.metrics_file.read_text().startswith(rows)  # not begun again


def test_what_another_process_trains_is_left_to_it_while_there_is_other_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`b` is made although `a` comes first; then there is nothing to do but wait for it."""
    lock = FileLock(tmp_path / ".a.lock", thread_local=False)
    lock.acquire()
    made: list[str] = []

    def make(folder: Path, words: object) -> None:
        made.append(folder.name)
        lock.release()

    monkeypatch.setattr(runs, "_train", make)
    trained(tmp_path, {"a": WORDS, "b": WORDS})
    assert made[:2] == ["b", "a"]
