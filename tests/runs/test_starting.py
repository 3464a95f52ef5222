"""A run from a model, as `fit` makes it: fresh counters, the origin in its files, and resuming without the source."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from ganlab.config.recipe import compose
from ganlab.core.checkpoints import load_module, read_checkpoint
from ganlab.core.published import weights, write_config, write_weights
from ganlab.core.starting import sha256
from ganlab.errors import UserError
from ganlab.evaluate import EvaluateSettings, evaluate
from ganlab.evaluation.report import compare
from ganlab.files.run_folder import RunFolder
from ganlab.runs.training import train

Same = Callable[[Any, Any], bool]
QUIET = tuple(f"callbacks.{name}=null" for name in ("quality", "collapse", "pictures", "game", "progress"))
NARROW = ("network.generator.width=4", "network.discriminator.width=4", "data.size=16", "batch_size=8")
STILL = ("generator.optimizer.lr=0", "discriminator.optimizer.lr=0")


@pytest.fixture(scope="module")
def words(photos: Path) -> tuple[str, ...]:
    game = ("recipe=cgan_text2img", "condition=words", "data=folder", f"data.root={photos}", "perturbation=[]")
    return *game, "network=mlp", "network.generator.depth=2", *NARROW, *QUIET


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, words: tuple[str, ...]) -> Path:
    """A run of three iterations."""
    return train(compose(*words, f"run_dir={tmp_path_factory.mktemp('source') / 'run'}", "trainer.max_steps=3"))


def saved(run: Path) -> dict[str, Any]:
    return read_checkpoint(RunFolder(run).last())


def test_weights_go_over_and_counters_begin_anew(
    source: Path, words: tuple[str, ...], same: Same, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One iteration at a rate of zero leaves the players as they came. The optimizers have made one step."""
    run = train(compose(*words, *STILL, f"init={source}", f"run_dir={tmp_path / 'run'}", "trainer.max_steps=1"))
    before, after = saved(source), saved(run)
    for player in ("generator.", "discriminator."):
        sides = [{k: v for k, v in one["state_dict"].items() if k.startswith(player)} for one in (before, after)]
        assert same(*sides)
    assert (after["ganlab"]["iteration"], after["ganlab"]["images_seen"]) == (1, 8)
    assert {float(state["step"]) for one in after["optimizer_states"] for state in one["state"].values()} == {1.0}
    said = capsys.readouterr().err
    assert "from " in said and "24 images seen" in said and "did not fit" not in said


def test_the_origin_is_in_all_files(source: Path, words: tuple[str, ...], tmp_path: Path) -> None:
    run = train(compose(*words, f"init={source}", f"run_dir={tmp_path / 'run'}", "trainer.max_steps=1"))
    expected = {
        "init": str(source),
        "sha256": sha256(RunFolder(source).checkpoint()),
        "recipe": "cgan_text2img",
        "images_seen": 24,
        "parts": ["generator", "discriminator", "average"],
    }
    recipe = yaml.safe_load(RunFolder(run).recipe_file.read_text())
    assert recipe["origin"] == expected
    assert "init" not in recipe
    assert saved(run)["ganlab"]["recipe"]["origin"] == expected
    assert json.loads(RunFolder(run).summary_file.read_text())["origin"] == expected
    assert yaml.safe_load(RunFolder(source).recipe_file.read_text())["origin"] is None


def test_numbers_say_where_the_training_started_and_still_compare(
    source: Path, words: tuple[str, ...], tmp_path: Path
) -> None:
    run = train(compose(*words, f"init={source}", f"run_dir={tmp_path / 'run'}", "trainer.max_steps=1"))
    for name, folder in {"first": source, "second": run}.items():
        out = str(tmp_path / f"{name}.json")
        evaluate(
            EvaluateSettings(
                checkpoint=str(folder), count=20, split="train", metrics=["kid"], extractor="small", out=out
            )
        )
    first, second = (json.loads((tmp_path / f"{name}.json").read_text())["metrics"] for name in ("first", "second"))
    (number,) = second
    assert second[number]["protocol"]["origin"]["sha256"] == sha256(RunFolder(source).checkpoint())
    assert "origin" not in first[number]["protocol"]
    assert [one.name for one in compare(tmp_path / "first.json", tmp_path / "second.json")] == [number]


def test_a_resumed_run_needs_no_source(source: Path, words: tuple[str, ...], same: Same, tmp_path: Path) -> None:
    """Stopped after two iterations and resumed, it ends with the same bits as one that never stopped."""
    model = tmp_path / "model"
    shutil.copytree(source, model)
    begun = (*words, f"init={model}", "generator.scheduler=null", "discriminator.scheduler=null")
    whole = train(compose(*begun, f"run_dir={tmp_path / 'whole'}", "trainer.max_steps=4"))
    half = train(compose(*begun, f"run_dir={tmp_path / 'half'}", "trainer.max_steps=2"))
    shutil.rmtree(model)
    train(compose(f"resume={half}", "trainer.max_steps=4"))
    assert same(saved(whole)["state_dict"], saved(half)["state_dict"])
    assert saved(half)["ganlab"]["recipe"]["origin"]["init"] == str(model)


def test_a_published_model_is_a_start(
    source: Path, words: tuple[str, ...], same: Same, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its discriminator: generator and average both begin with the published average, and a line says so."""
    content, model = saved(source), load_module(RunFolder(source).checkpoint())
    write_weights(tmp_path, weights(model))
    facts = {name: content["ganlab"][name] for name in ("recipe", "spec", "iteration", "images_seen")}
    write_config(tmp_path, facts)
    run = train(compose(*words, *STILL, f"init={tmp_path}", f"run_dir={tmp_path / 'run'}", "trainer.max_steps=1"))
    state = saved(run)["state_dict"]
    for part in ("generator.", "average."):
        found = {name.removeprefix(part): value for name, value in state.items() if name.startswith(part)}
        assert same(found, dict(model.average.state_dict()))
    assert "the file has no discriminator: a new one begins" in capsys.readouterr().err
    assert saved(run)["ganlab"]["recipe"]["origin"]["sha256"] == sha256(tmp_path / "model.safetensors")


def test_a_requeued_run_starts_once(source: Path, words: tuple[str, ...], tmp_path: Path) -> None:
    """With `resume=auto` the same words begin the run from the model, and later go on without it."""
    model = tmp_path / "model"
    shutil.copytree(source, model)
    again = (*words, f"init={model}", f"run_dir={tmp_path / 'run'}", "resume=auto")
    train(compose(*again, "trainer.max_steps=1"))
    shutil.rmtree(model)
    assert saved(train(compose(*again, "trainer.max_steps=2")))["ganlab"]["iteration"] == 2


def test_starting_is_not_resuming(source: Path) -> None:
    with pytest.raises(UserError, match="`init` starts a new run, and `resume` goes on with one"):
        train(compose(f"resume={source}", f"init={source}", "trainer.max_steps=9"))


def test_the_origin_cannot_be_typed(words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`origin` is written by fit"):
        train(compose(*words, "+origin.init=zoo", f"run_dir={tmp_path / 'run'}", "trainer.max_steps=1"))
    assert not (tmp_path / "run").exists()


def test_another_network_is_refused_before_a_picture_is_read(source: Path, tmp_path: Path) -> None:
    """The folder of pictures is empty, which is said later than that."""
    words = ("recipe=vanilla", "data=folder", f"data.root={tmp_path}", "network=resnet", f"run_dir={tmp_path / 'run'}")
    with pytest.raises(UserError, match=r"`init`: the generator in .* is ganlab\.networks\.mlp\.Generator"):
        train(compose(*words, f"init={source}"))
    assert not (tmp_path / "run").exists()


def test_what_did_not_fit_is_a_table(
    source: Path, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    smaller = (f"init={source}", "condition.dim=64", f"run_dir={tmp_path / 'run'}", "trainer.max_steps=1")
    train(compose(*words, *smaller))
    said = capsys.readouterr().err
    (row,) = [line for line in said.splitlines() if "discriminator.encoder.linear.weight" in line]
    assert "(128, 128)" in row and "(64, 128)" in row and "begins anew" in row
    (count,) = [line for line in said.splitlines() if "tensors taken" in line and "discriminator" in line]
    assert int(count.split()[1]) < int(count.split()[3])


def test_the_ramp_of_the_average_counts_the_images_of_this_run(
    source: Path, words: tuple[str, ...], tmp_path: Path
) -> None:
    """Half-lives of 0.05 of the 8 images seen, not of the model's 24 and these: beta is 0.5 ** (8 / 0.4)."""
    run = train(compose(*words, f"init={source}", f"run_dir={tmp_path / 'run'}", "trainer.max_steps=1"))
    before, after = saved(source)["state_dict"], saved(run)["state_dict"]
    name = "network.out.0.weight"
    beta = 0.5 ** (8 / (0.05 * 8))
    expected = beta * before[f"average.{name}"] + (1 - beta) * after[f"generator.{name}"]
    torch.testing.assert_close(after[f"average.{name}"], expected)


def test_a_run_that_ends_before_its_first_iteration_says_so(words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^the run ended before its first iteration.*`trainer.max_time`"):
        train(compose(*words, f"run_dir={tmp_path / 'run'}", "+trainer.max_time=00:00:00:00"))
