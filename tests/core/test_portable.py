"""A run that was moved: its data are found beside it, or where the user says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganlab.config import cli
from ganlab.config.recipe import compose
from ganlab.core.portable import open_run, relocated
from ganlab.errors import UserError
from ganlab.evaluate import EvaluateSettings, evaluate
from ganlab.runs.training import train
from ganlab.sample import SampleSettings, sample

QUIET = tuple(f"callbacks.{name}=null" for name in ("quality", "collapse", "pictures", "game"))
SMALL = ("batch_size=8", "network.generator.width=8", "network.discriminator.width=8", *QUIET)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "here" / "photos"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for i in range(30):
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture
def run(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was started beside its pictures, which were named by a relative path."""
    monkeypatch.chdir(photos.parent)
    words = ("recipe=vanilla", "data=folder", "data.root=photos", "data.size=16", *SMALL)
    return Path(train(compose(*words, "trainer.max_steps=2", "run_dir=run"))).absolute()


def numbers(run: Path, tmp_path: Path, **data: str) -> float:
    out = tmp_path / "numbers.json"
    settings = {"checkpoint": str(run), "count": 70, "metrics": ["fid"], "extractor": "small", "out": str(out)}
    evaluate(EvaluateSettings(**settings, data=data))
    return json.loads(out.read_text())["metrics"]["fid_small"]["value"]


def test_a_run_means_the_same_in_any_folder(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = numbers(run, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert numbers(run, tmp_path) == here


def test_a_moved_run_is_measured_on_its_moved_pictures(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = numbers(run, tmp_path)
    there = tmp_path / "other" / "place"
    moved, pictures = shutil.move(run, there / "run"), shutil.move(photos, there / "photos")
    with pytest.raises(UserError, match="which is not there"):
        numbers(Path(moved), tmp_path)
    assert numbers(Path(moved), tmp_path, root=str(pictures)) == before
    sample(SampleSettings(checkpoint=str(moved), count=1, data={"root": str(pictures)}, out=str(tmp_path / "out")))
    assert (tmp_path / "out" / "00000.png").exists()


def test_a_relative_root_is_in_the_run(run: Path, photos: Path, tmp_path: Path) -> None:
    recipe = {"data": {"_target_": "ganlab.data.folder.FolderData", "root": "photos", "size": 16}}
    assert relocated(recipe, {}, run)["root"] == "photos"
    shutil.copytree(photos, run / "photos")
    assert relocated(recipe, {}, run)["root"] == str(run / "photos")
    assert relocated(recipe, {"held_out": "0.5"}, run)["held_out"] == 0.5


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"rot": "x"}, r"`data\.rot` .*did you mean.*root"),
        ({"held_out": "2"}, r"`data\.held_out` must be"),
        ({"_target_": "ganlab.data.emoji.EmojiData"}, r"`data\._target_` is fixed by the checkpoint"),
    ],
)
def test_settings_that_the_data_do_not_take(run: Path, said: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_run(str(run), data=said)


def test_settings_of_the_data_on_the_command_line() -> None:
    words = ["checkpoint=run", "data.root=/other/place", "data.held_out=0.2"]
    assert cli.read_settings(EvaluateSettings, words).data == {"root": "/other/place", "held_out": "0.2"}
    for word in ("data=folder", "data.=x", "dat.root=x"):
        with pytest.raises(UserError, match="is not a setting"):
            cli.read_settings(EvaluateSettings, [word])


def test_few_pictures_are_said_to_be_few(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """64 features need more than 64 pictures of both kinds, and there are 70 and about 3."""
    numbers(run, tmp_path)
    warned = [line for line in capsys.readouterr().err.splitlines() if "fid of" in line]
    assert len(warned) == 1 and "real pictures is too high: their covariance of 64 features" in warned[0]
    assert "generated" not in warned[0]
