"""Resuming a run's folder: refused, it is as it was; damaged, it is mended; `resume=auto` begins or goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.config.recipe import compose
from ganlab.core.checkpoints import read_checkpoint
from ganlab.data.base import DataSpec
from ganlab.data.order import rows_at
from ganlab.data.pictures import Pictures
from ganlab.errors import UserError
from ganlab.files.metrics_file import read_rows
from ganlab.files.run_folder import RunFolder
from ganlab.runs import resuming
from ganlab.runs.resuming import mend
from ganlab.runs.training import train

QUIET = [f"callbacks.{name}=null" for name in ("quality", "collapse", "pictures", "game", "progress")]
SMALL = ("network.generator.width=8", "network.discriminator.width=8", *QUIET)


def ring(*words: str) -> Path:
    return train(compose("recipe=ring", "trainer.log_every_n_steps=1", "batch_size=8", *QUIET, *words))


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on points of six iterations, saved at every other."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return ring(f"run_dir={folder}", "trainer.max_steps=6", "callbacks.checkpoints.every=2")


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    for name, content in content_of(finished).items():
        file = tmp_path / "run" / Path(name).relative_to(finished)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["latent_dim=7"], r"generator\.\S+ is \(\d+, 2\) in the file, \(\d+, 7\) here.*latent_dim=7 \(was 2\)"),
        (["network.generator.width=16"], r"network\.generator\.width=16 \(was 128\)"),
        (["network=resnet"], r"`resume`.*points"),
        (["data=shapes"], r"`data=shapes` also chooses `network`"),
        (["trainer.max_steps=5"], r"has 6 iterations already"),
        (["trainer.accelerator=gpu"], r"trainer"),
    ],
)
def test_a_refused_resume_changes_nothing(run: Path, words: list[str], line: str) -> None:
    before = content_of(run)
    with pytest.raises(UserError, match=line):
        train(compose(f"resume={run}", "trainer.max_steps=9", *words))
    assert content_of(run) == before
    assert train(compose(f"resume={run}", "trainer.max_steps=7")) == run


def test_other_classes_of_the_same_number_are_refused(tmp_path: Path) -> None:
    """Three words of one data set in the place of three of another would fit, and mean something else."""
    words = ["recipe=cgan_class", "data.count=40", "data.held_out_count=20", "batch_size=4", *SMALL]
    run = train(compose(*words, f"run_dir={tmp_path / 'run'}", "trainer.max_steps=1"))
    content = torch.load(RunFolder(run).last_file, weights_only=True)
    classes = content["ganlab"]["spec"]["classes"]
    content["ganlab"]["spec"]["classes"] = [*classes[1:], classes[0]]
    torch.save(content, RunFolder(run).last_file)
    with pytest.raises(UserError, match="the data are not those of the run: classes 18"):
        train(compose(f"resume={run}", "trainer.max_steps=2"))


def test_other_shared_captions_are_refused_in_a_short_line() -> None:
    recipe = {"condition": {"_target_": "ganlab.networks.text.CaptionEncoder"}}
    spec = DataSpec((3, 8, 8), "text", captions=("a cat",), shared={f"kind {number}": [0] for number in range(200)})
    with pytest.raises(UserError, match=r"shared 200 \(kind 0, kind 1, kind 2, \.\.\.\) here, has none in") as refused:
        resuming._refuse_other_data(recipe, spec, replace(spec, shared={}))
    assert len(str(refused.value)) < 250


def test_a_folder_with_more_pictures_than_before_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "pictures"
    root.mkdir()
    for number in range(30):
        Image.new("RGB", (32, 32), (8 * number, 0, 0)).save(root / f"{number}.png")
    words = [f"data.root={root}", "data.size=32", "network=lighter", "batch_size=4", *SMALL]
    run = train(compose("recipe=vanilla", "data=folder", *words, f"run_dir={tmp_path / 'run'}", "trainer.max_steps=1"))
    before = read_checkpoint(RunFolder(run).last_file)["ganlab"]["pictures"]
    capsys.readouterr()
    train(compose(f"resume={run}", "trainer.max_steps=2"))
    assert "training pictures, and had" not in capsys.readouterr().err
    for number in range(30, 60):
        Image.new("RGB", (32, 32), (0, 4 * number, 0)).save(root / f"{number}.png")
    train(compose(f"resume={run}", "trainer.max_steps=3"))
    after = read_checkpoint(RunFolder(run).last_file)["ganlab"]["pictures"]
    assert f"the data have {after} training pictures, and had {before} before" in capsys.readouterr().err
    assert before < after


def test_another_batch_size_goes_on_in_the_middle_of_the_pass(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six iterations of 8 points, then some of 5: point 49 of the pass follows point 48."""
    drawn: list[range] = []

    def recorded(self: Pictures, position: int, count: int, seed: int) -> np.ndarray:
        drawn.append(range(position, position + count))
        return rows_at(position, count, len(self), seed)

    monkeypatch.setattr(Pictures, "rows_at", recorded)
    seen = read_checkpoint(run / "checkpoints/last.ckpt")["ganlab"]["images_seen"]
    train(compose(f"resume={run}", "trainer.max_steps=8", "batch_size=5"))
    assert seen >= 48 and len(drawn) >= 2 and len(drawn[0]) % 5 == 0
    assert [part.start for part in drawn] == [seen + i * len(drawn[0]) for i in range(len(drawn))]


def test_auto_begins_goes_on_and_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same command line each time, as a scheduler repeats it."""
    run = tmp_path / "run"
    rates = ("generator.scheduler.end=9", "discriminator.scheduler.end=9")
    ring(f"run_dir={run}", "resume=auto", "trainer.max_steps=3", *rates)
    ring(f"run_dir={run}", "resume=auto", "trainer.max_steps=5", *rates)
    assert [row["iteration"] for row in read_rows(run / "metrics.csv")] == ["1", "2", "3", "4", "5"]
    assert ring(f"run_dir={run}", "resume=auto", "trainer.max_steps=5") == run
    assert "is complete: 5 iterations" in capsys.readouterr().err
    straight = ring(f"run_dir={tmp_path / 'straight'}", "trainer.max_steps=5", *rates)
    weights = [read_checkpoint(RunFolder(one).last_file)["state_dict"] for one in (run, straight)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_auto_needs_a_folder_and_never_begins_anew_over_damage(run: Path) -> None:
    with pytest.raises(UserError, match="pass run_dir=FOLDER"):
        ring("resume=auto")
    for file in (run / "checkpoints").iterdir():
        file.write_bytes(b"")
    with pytest.raises(UserError, match="no other checkpoint takes its place"):
        ring(f"run_dir={run}", "resume=auto")


def test_a_damaged_last_checkpoint_costs_one_interval(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = read_checkpoint(run / "checkpoints/last.ckpt")["state_dict"]
    (run / "checkpoints/last.ckpt").write_bytes(b"")
    train(compose(f"resume={run}", "trainer.max_steps=6"))
    again = read_checkpoint(run / "checkpoints/last.ckpt")
    assert again["ganlab"]["iteration"] == 6
    assert all(torch.equal(value, again["state_dict"][name]) for name, value in whole.items())
    assert "previous.ckpt takes its place" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["torn", "nul", "bytes", "empty"])
def test_metrics_keep_their_whole_rows(run: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = run / "metrics.csv"
    content = file.read_bytes()
    rows = read_rows(file)
    file.write_bytes(
        {"torn": content[:-4], "nul": content + b"\0" * 40, "bytes": content + b"\xff\xfe7", "empty": b""}[damage]
    )
    mend(RunFolder(run))
    assert read_rows(file) == rows[: {"torn": 5, "empty": 0}.get(damage, 6)]
    assert "metrics.csv was damaged" in capsys.readouterr().err
    train(compose(f"resume={run}", "trainer.max_steps=8"))
    assert read_rows(file)[-2:] == [
        {**read_rows(file)[-2], "iteration": "7"},
        {**read_rows(file)[-1], "iteration": "8"},
    ]


def test_leftovers_go_and_a_torn_summary_is_written_again(run: Path) -> None:
    (run / "checkpoints" / ".last.ckpt.abc.part").write_bytes(b"half")
    (run / "summary.json").write_text('{"recipe": "ri')
    train(compose(f"resume={run}", "trainer.max_steps=7"))
    assert json.loads((run / "summary.json").read_text())["iterations"] == 7
    assert not list(run.rglob("*.part"))
