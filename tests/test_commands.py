"""The three commands as a person types them, in processes of their own: on two devices, on folders, with sentences."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.core.checkpoints import read_checkpoint
from ganlab.files.run_folder import RunFolder

ROOT = Path(__file__).parent.parent
SMALL = (
    *("batch_size=8", "network.generator.width=8", "network.discriminator.width=8"),
    *(f"callbacks.{name}=null" for name in ("pictures", "quality", "collapse", "game")),
)


def type_in(folder: Path, module: str, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """What a command prints, run from `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GANLAB_OFFLINE": "1"}
    command = [sys.executable, "-m", f"ganlab.{module}", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=240)
    assert done.returncode == expect, done.stderr
    return done


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of mixed sizes with captions beside them, one of them broken."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for i in range(24):
        colour = ("red", "green", "blue")[i % 3]
        pixels = random.integers(0, 60, (20 + i, 30, 3), dtype=np.uint8)
        pixels[..., i % 3] += 180
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
        (folder / f"{i:02d}.txt").write_text(f"a {colour} picture, number {i}")
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "broken.txt").write_text("nothing")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A run of two processes on the folder, by `trainer.devices=2` alone."""
    folder = tmp_path_factory.mktemp("work")
    words = ("recipe=cgan_text2img", "data=folder", f"data.root={photos}", "data.size=16", *SMALL)
    two = ("trainer.devices=2", "trainer.accelerator=cpu", "trainer.max_steps=4", "run_dir=two")
    done = type_in(folder, "fit", *words, *two)
    assert "broken.jpg" in done.stderr
    return folder / "two"


def test_two_processes_train_one_model(run: Path) -> None:
    """Both ranks' random states are in the checkpoint, and differ; every real of both was counted."""
    saved = read_checkpoint(RunFolder(run).last())["ganlab"]
    first, second = (states["torch"] for states in saved["random"])
    assert not torch.equal(first, second)
    assert (saved["iteration"], saved["images_seen"]) == (4, 4 * 8 * 2)
    assert json.loads(RunFolder(run).summary_file.read_text())["iterations"] == 4


def test_two_processes_start_from_a_model(run: Path, photos: Path) -> None:
    """Both begin with the model's weights; a frozen block is the model's to the bit after two iterations."""
    words = ("recipe=cgan_text2img", "data=folder", f"data.root={photos}", "data.size=16", *SMALL, f"init={run}")
    two = ("trainer.devices=2", "trainer.accelerator=cpu", "trainer.max_steps=2", "discriminator.freeze=1")
    type_in(run.parent, "fit", *words, *two, "discriminator.layer_decay=0.5", "run_dir=started")
    before, after = (read_checkpoint(RunFolder(one).last()) for one in (run, run.parent / "started"))
    equal = {name for name, tensor in after["state_dict"].items() if torch.equal(tensor, before["state_dict"][name])}
    trunk = {name for name in equal if name.startswith("discriminator.trunk")}
    assert trunk == {f"discriminator.trunk.trunk.layers.0.{name}" for name in ("weight", "bias")}
    assert after["ganlab"]["images_seen"] == 2 * 8 * 2
    assert after["ganlab"]["recipe"]["origin"]["images_seen"] == 4 * 8 * 2


@pytest.mark.parametrize("strategy", ["zero1", "fsdp"])
def test_what_is_divided_goes_on_in_one_process_and_again_in_two(tmp_path: Path, strategy: str) -> None:
    """`trainer.strategy` with `resume=auto`, and all callbacks; in one process there is nothing to divide."""
    fast = ("callbacks.quality.count=64", "data.count=300", "data.held_out_count=100", "batch_size=8")
    words = ("recipe=ring", *fast, f"trainer.strategy={strategy}", "trainer.accelerator=cpu", "run_dir=shared")
    for devices, steps in ((2, 3), (1, 5), (2, 6)):
        told = type_in(
            tmp_path, "fit", *words, "resume=auto", f"trainer.devices={devices}", f"trainer.max_steps={steps}"
        )
        assert "cannot measure" not in told.stderr
    saved = read_checkpoint(RunFolder(tmp_path / "shared").last())
    assert saved["ganlab"]["images_seen"] == (3 + 1) * 2 * 8 + 2 * 8
    for states in saved["optimizer_states"]:
        assert {float(state["step"]) for state in states["state"].values()} == {6.0}
        assert list(states["state"]) == states["param_groups"][0]["params"]


def test_a_picture_does_not_depend_on_how_many_are_drawn_with_it(run: Path, tmp_path: Path) -> None:
    for out, count in (("few", 1), ("many", 5)):
        type_in(
            run.parent, "sample", f"checkpoint={run}", "text=a red picture", f"count={count}", f"out={tmp_path / out}"
        )
    few, many = (np.asarray(Image.open(tmp_path / out / "a-red-picture-00000.png"), int) for out in ("few", "many"))
    assert np.abs(few - many).max() <= 1  # a batch of another size may round the last bit differently


def test_resumes_where_it_stopped(run: Path) -> None:
    done = type_in(run.parent, "fit", f"resume={run}", "trainer.devices=1", "trainer.max_steps=6")
    assert "6 iterations" in done.stdout
    done = type_in(run.parent, "fit", f"resume={run}", "trainer.max_steps=6", expect=2)
    assert "has 6 iterations already" in done.stderr and len(done.stderr.splitlines()) == 1


def test_compares_two_folders(photos: Path, tmp_path: Path) -> None:
    words = (f"generated={photos}", f"reference={photos}", "metrics=[fid,precision]", "extractor=small")
    done = type_in(tmp_path, "evaluate", *words, "out=numbers.json")
    assert "broken.jpg is left out" in done.stderr
    report = json.loads((tmp_path / "numbers.json").read_text())
    assert abs(report["metrics"]["fid_small"]["value"]) < 1e-6
    assert report["metrics"]["fid_small"]["protocol"]["reals"] == 24


def test_captions_read_by_a_sentence_model(photos: Path, tmp_path: Path) -> None:
    words = ("recipe=cgan_text2img", "data=folder", f"data.root={photos}", "data.size=16", *SMALL)
    type_in(tmp_path, "fit", *words, "trainer.max_steps=2", "condition=sentence", "run_dir=told")
    type_in(tmp_path, "sample", "checkpoint=told", "text=a blue one", "count=1", "out=drawn")
    assert (tmp_path / "drawn" / "grid.png").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("recipe=cgan_class", "data=mnist", "data.root=nowhere"), "nowhere"),
        (("recipe=vanilla", "data=folder", "data.root=nowhere"), "nowhere"),
        (("recipe=vanilla", "data=folder", "data.root=.", "data.size=48"), "data.size=64"),
        (
            ("recipe=vanilla", "data=emoji", "network=mlp", "trainer.strategy=deepspeed", "trainer.devices=2"),
            "trainer.strategy",
        ),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = type_in(tmp_path, "fit", *words, expect=2)
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_sweeper_that_searches_is_told_the_leading_number(tmp_path: Path) -> None:
    """Optuna tries two widths and keeps the better; it fails if a job returns no number."""
    search = ("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1")
    search += ("hydra.sweeper.direction=maximize", "network.generator.width=choice(8,16)")
    quiet = [f"callbacks.{name}=null" for name in ("pictures", "collapse", "game")]
    fast = ("trainer.max_steps=4", "callbacks.quality.count=64", "data.count=300", "data.held_out_count=100")
    type_in(tmp_path, "fit", "recipe=ring", "batch_size=8", *fast, *quiet, *search)
    found = (tmp_path / "runs/.sweep/optimization_results.yaml").read_text()
    bests = [
        json.loads(file.read_text())["best"]["value"] for file in tmp_path.glob("runs/ring/sweep-0/*/summary.json")
    ]
    assert len(bests) == 2 and f"best_value: {max(bests)}" in found
