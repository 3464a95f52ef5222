"""The lecture's command as a person types it, and what it writes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import ganlab
from ganlab.errors import UserError
from ganlab.lecture.__main__ import LectureSettings, measure, show, understood
from ganlab.lecture.catalog import claim, experiments

ROOT = Path(__file__).parent.parent.parent
HELPERS = {"catalog", "drawing", "line", "play", "runs", "strips", "unplaced"}


def command(folder, *words):
    """What the command prints, and its processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "ganlab.lecture", *words]
    done = subprocess.run(line, capture_output=True, text=True, cwd=folder, env=environment, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_help_names_every_experiment_and_its_claim_without_loading_torch(tmp_path):
    done, seconds = command(tmp_path, "--help")
    told = " ".join(done.stdout.split())
    assert done.returncode == 0 and not done.stderr
    assert all(f"{name} {text}" in told for name, text in experiments().items())
    assert seconds < 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["gradiants"], "did you mean `gradients`?"),
        (["gradients", "nothing_like_it"], "`nothing_like_it` is not an experiment: there are animation"),
        (["play"], "`play` is not an experiment"),
        ([], "an experiment is needed"),
        (["gradients", "sed=1"], "did you mean `seed=...`?"),
        (["gradients", "seed=one"], "`seed` must be a whole number, got one"),
    ],
)
def test_a_mistake_is_one_line_before_torch_is_loaded(tmp_path, words, part):
    done, seconds = command(tmp_path, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("ganlab.lecture: ") and part in done.stderr
    assert seconds < 1 and list(tmp_path.iterdir()) == []


def test_names_and_settings_in_any_order():
    assert understood(["meter", "seed=3", "turns", "meter", "out=a b"]) == (
        ["meter", "turns"],
        LectureSettings(out="a b", seed=3),
    )
    assert understood(["meter"]) == (["meter"], LectureSettings(out="lecture", seed=0))


def test_experiments_have_a_claim_and_helpers_are_none():
    assert {"gradients", "turns", "meter", "wasserstein", "covering", "animation"} <= set(experiments())
    assert HELPERS & set(experiments()) == set()
    assert all(text.endswith(".") and 20 < len(text) <= 200 for text in experiments().values())


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One. Two.", "One."),
        ("At 4.5e-5, as\nMao et al. 2017 say: no.\n\nMore.", "At 4.5e-5, as Mao et al. 2017 say: no."),
        ("", ""),
    ],
)
def test_a_claim_is_the_first_sentence(text, first):
    assert claim(text) == first


def test_a_module_without_run_is_no_experiment(tmp_path):
    (tmp_path / "one.py").write_text('"""It is so."""\n\ndef run(folder, seed): ...\n')
    (tmp_path / "helper.py").write_text('"""Not it."""\n\nclass A:\n    def run(self): ...\n')
    (tmp_path / "broken.py").write_text(
        '"""Imports what is not there."""\n\nimport nothing_of_the_kind\ndef run(): ...\n'
    )
    assert experiments(tmp_path) == {"broken": "Imports what is not there.", "one": "It is so."}


# What it writes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def fake(monkeypatch):
    """fake(run): an experiment of that name and function, as if it were a module of the package."""

    def make(run):
        module = ModuleType("ganlab.lecture.fake")
        module.run = run
        monkeypatch.setitem(sys.modules, "ganlab.lecture.fake", module)

    return make


def test_numbers_lie_beside_the_picture_with_all_it_takes_to_measure_them_again(tmp_path, fake, capsys):
    import torch

    def run(folder, seed):
        (folder / "fake.png").write_bytes(b"")
        return {
            "drawn": float(torch.rand(())),
            "table": {"a": {"b": 1.25}},
            "curve": [0.0] * 9,
            "rows": [{"a": 1}] * 3,
            "short": [1, 2],
        }

    fake(run)
    file = measure("fake", tmp_path / "new", 7)
    content = json.loads(file.read_text())
    assert sorted(path.name for path in file.parent.iterdir()) == ["fake.json", "fake.png"]
    assert content["command"] == "python -m ganlab.lecture fake seed=7" and content["seed"] == 7
    assert content["versions"] == {"ganlab": ganlab.__version__, "torch": torch.__version__}
    assert content["numbers"]["table"] == {"a": {"b": 1.25}} and content["seconds"] >= 0
    again = json.loads(measure("fake", tmp_path, 7).read_text())
    assert again["numbers"] == content["numbers"], "the seed is set before every experiment"
    other = json.loads(measure("fake", tmp_path, 8).read_text())
    assert other["numbers"]["drawn"] != content["numbers"]["drawn"]
    show("fake", content)
    printed = capsys.readouterr().out
    assert (
        "table.a.b" in printed
        and "1.25" in printed
        and "9 values" in printed
        and "3 values" in printed
        and "1, 2" in printed
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_what_json_cannot_say_is_not_written(tmp_path, fake, value):
    fake(lambda folder, seed: {"number": value})
    with pytest.raises((ValueError, TypeError)):
        measure("fake", tmp_path, 0)
    assert list(tmp_path.iterdir()) == []


def test_understood_refuses_in_words():
    with pytest.raises(UserError, match="`mether` is not an experiment: did you mean `meter`"):
        understood(["mether"])
