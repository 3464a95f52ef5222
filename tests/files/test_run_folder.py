"""A run's folder: versions, checkpoints, files that are whole or absent, one folder for all processes."""

import json
import multiprocessing

import pytest
import torch

from ganlab.errors import UserError
from ganlab.files.run_folder import SHARED, RunFolder, find_checkpoint, find_last, saved_recipe

SUMMARY = {"recipe": "x", "iterations": 1, "images_seen": 64, "seconds": 0.1, "metrics": {}, "checkpoint": None}


@pytest.fixture(autouse=True)
def first_process(monkeypatch):
    for name in ("LOCAL_RANK", "RANK", "SLURM_PROCID", SHARED):
        monkeypatch.setenv(name, "")


def checkpoints(folder, *names):
    folder.checkpoints.mkdir(parents=True)
    for name in names:
        torch.save({"weight": torch.arange(100.0)}, folder.checkpoints / name)


def test_versions_count_up_and_skip_what_is_there(tmp_path):
    (tmp_path / "x" / "4").mkdir(parents=True)
    (tmp_path / "x" / "notes").mkdir()
    assert [RunFolder.new("x", tmp_path).path.name for _ in range(2)] == ["5", "6"]


def test_processes_that_start_together_get_folders_of_their_own(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        made = pool.starmap(RunFolder.new, [("x", tmp_path)] * 20)
    assert {folder.path for folder in made} == {tmp_path / "x" / str(i) for i in range(20)}


def test_sampling_wants_the_best_and_resuming_the_last(tmp_path):
    folder = RunFolder(tmp_path)
    checkpoints(folder, "last.ckpt", "best.ckpt")
    assert (find_checkpoint(tmp_path), find_last(tmp_path)) == (folder.best_file, folder.last_file)
    assert find_checkpoint(folder.last_file) == folder.last_file


@pytest.mark.parametrize("only", ["last.ckpt", "best.ckpt"])
def test_either_will_do(tmp_path, only):
    checkpoints(RunFolder(tmp_path), only)
    assert find_checkpoint(tmp_path).name == find_last(tmp_path).name == only


@pytest.mark.parametrize("damage", ["empty", "torn", "flipped"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, capsys, damage):
    folder = RunFolder(tmp_path)
    checkpoints(folder, "last.ckpt", "previous.ckpt")
    content = folder.last_file.read_bytes()
    at = content.index(torch.arange(100.0).numpy().tobytes()) + 40
    flipped = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    folder.last_file.write_bytes({"empty": b"", "torn": content[:-50], "flipped": flipped}[damage])
    assert find_last(tmp_path) == folder.previous_file
    assert "previous.ckpt takes its place" in capsys.readouterr().err
    folder.previous_file.write_bytes(b"")
    with pytest.raises(UserError, match=r"last\.ckpt.*no other checkpoint takes its place"):
        find_last(tmp_path)


def test_a_recipe_that_is_not_as_it_was_written_gives_way_to_the_checkpoints(tmp_path):
    """Torn at any place, at the end of a line too, or with another number in it."""
    folder = RunFolder(tmp_path)
    folder.checkpoints.mkdir()
    torch.save({"ganlab": {"recipe": {"variant": 1}}}, folder.last_file)
    text = folder.write_recipe("seed: 0\nvariant: 2\n").read_text()
    assert saved_recipe(tmp_path) == {"seed": 0, "variant": 2}
    for damaged in (*(text[:end] for end in range(len(text))), text.replace("seed: 0", "seed: 1"), "\0\0\0"):
        folder.recipe_file.write_text(damaged)
        assert saved_recipe(tmp_path) == {"variant": 1}


def test_a_folder_without_a_checkpoint_says_what_is_there(tmp_path):
    (tmp_path / "metrics.csv").touch()
    with pytest.raises(UserError, match=r"no checkpoints/last\.ckpt.*there is metrics\.csv"):
        find_checkpoint(tmp_path)


def test_a_path_that_is_not_there_says_what_is_beside_it(tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match=r"does not exist \(.* has other\)"):
        find_checkpoint(tmp_path / "runn")


def test_a_checkpoint_knows_its_runs_folder(tmp_path):
    folder = RunFolder(tmp_path)
    checkpoints(folder, "last.ckpt")
    assert RunFolder.of(folder.last_file) == RunFolder.of(tmp_path) == folder


def test_a_new_run_takes_the_next_version(tmp_path):
    recipe = {"recipe": "x", "run_dir": None, "resume": None}
    assert RunFolder.start(recipe, tmp_path).path == tmp_path / "x" / "0"


def test_a_chosen_folder_must_not_hold_a_run(tmp_path):
    recipe = {"recipe": "x", "run_dir": str(tmp_path / "mine"), "resume": None}
    folder = RunFolder.start(recipe)
    assert folder.path == tmp_path / "mine"
    folder.write_recipe("seed: 0\n")
    with pytest.raises(UserError, match="holds a run already"):
        RunFolder.start(recipe)


def test_resuming_goes_on_in_the_same_folder_unless_told_otherwise(tmp_path):
    old = RunFolder(tmp_path / "old")
    old.write_recipe("seed: 0\n")
    checkpoints(old, "last.ckpt")
    recipe = {"recipe": "x", "run_dir": None, "resume": str(old.last_file)}
    assert RunFolder.start(recipe) == old
    assert RunFolder.start({**recipe, "run_dir": str(old.path)}) == old
    assert RunFolder.start({**recipe, "run_dir": str(tmp_path / "new")}).path == tmp_path / "new"


def test_resuming_from_a_checkpoint_that_stands_alone_makes_a_new_folder(tmp_path):
    (tmp_path / "alone.ckpt").touch()
    recipe = {"recipe": "x", "run_dir": None, "resume": str(tmp_path / "alone.ckpt")}
    assert RunFolder.start(recipe, tmp_path / "runs").path == tmp_path / "runs" / "x" / "0"


def test_processes_that_were_started_use_the_first_ones_folder(tmp_path, monkeypatch):
    recipe = {"recipe": "x", "run_dir": None, "resume": None}
    first = RunFolder.start(recipe, tmp_path)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert RunFolder.start(recipe, tmp_path).path == first.path.absolute()
    monkeypatch.setenv("LOCAL_RANK", "0")  # what Lightning leaves behind in the first process of a sweep
    assert RunFolder.start(recipe, tmp_path).path != first.path


def test_a_process_that_something_else_started_needs_the_folder(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(UserError, match="`run_dir` is needed"):
        RunFolder.start({"recipe": "x", "run_dir": None})
    assert RunFolder.start({"recipe": "x", "run_dir": "there"}).path.name == "there"


def test_a_summary_is_complete(tmp_path):
    file = RunFolder(tmp_path).write_summary({**SUMMARY, "extra": 1})
    assert json.loads(file.read_text()) == {**SUMMARY, "extra": 1}
    with pytest.raises(KeyError):
        RunFolder(tmp_path).write_summary({"recipe": "x"})
