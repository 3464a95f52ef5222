"""The models that come with the package: found, listed, sampled; small, and with a card that can be checked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganlab
from ganlab.core.checkpoints import load_module
from ganlab.files.addresses import ZOO, zoo_names
from ganlab.files.published import CARD_FILE, MODEL_FILE, SAMPLES_FILE, read_config
from ganlab.files.run_folder import find_checkpoint
from ganlab.metrics.digits import DigitReader
from ganlab.metrics.registry import checked_names
from ganlab.networks.minilm import MiniLM
from ganlab.networks.sentences import FrozenSentences
from ganlab.publishing.card import again
from ganlab.publishing.card import card as write_card
from ganlab.publishing.publish import write_samples
from ganlab.sample import SampleSettings, sample
from ganlab.sampling.drawing import draw, latents
from ganlab.zoo.__main__ import listed, write_page

LARGEST, LARGEST_TOGETHER = 8_000_000, 25_000_000  # bytes


def test_the_zoo_is_small() -> None:
    sizes = [(ZOO / name / MODEL_FILE).stat().st_size for name in zoo_names()]
    assert sizes and max(sizes) < LARGEST
    assert sum(file.stat().st_size for file in ZOO.rglob("*") if file.is_file()) < LARGEST_TOGETHER


@pytest.mark.parametrize("name", zoo_names())
def test_a_model_has_a_card_that_says_everything(name: str) -> None:
    config, card = read_config(ZOO / name), (ZOO / name / CARD_FILE).read_text(encoding="utf-8")
    assert config["training"].keys() >= {"command", "seconds", "machine"}
    assert card == write_card(config)
    assert config["numbers"] and again(config) in card and f"checkpoint=zoo:{name}" in card
    for line in again(config).splitlines():
        checked_names(line.split("metrics=[")[1].split("]")[0].split(","))
    assert "Nobody has looked" not in config["faults"] and config["faults"] in card
    assert config["licence"]["name"] != "unknown"
    assert config["files"]["safetensors"]["largest_difference_of_7"] < 0.02


@pytest.mark.parametrize("name", zoo_names())
def test_the_example_of_its_card_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (80, 80), "white").save("picture.png")
    example = (ZOO / name / CARD_FILE).read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    made: dict[str, object] = {}
    exec(example, made)
    images = made["images"]
    assert isinstance(images, torch.Tensor)
    assert len(images) == 16 and images.abs().max() <= 1 and torch.isfinite(images).all()


@pytest.mark.parametrize("name", zoo_names())
def test_the_sheet_of_samples_is_what_it_draws(name: str, tmp_path: Path) -> None:
    """Seeds 0, 1, ... were not picked: the whole sheet comes out again, to a level of a few pixels."""
    write_samples(load_module(find_checkpoint(f"zoo:{name}")), tmp_path)
    stored, drawn = (np.asarray(Image.open(folder / SAMPLES_FILE), int) for folder in (ZOO / name, tmp_path))
    assert np.abs(stored - drawn).max() <= 3 and np.abs(stored - drawn).mean() < 0.01


def test_it_is_listed(tmp_path: Path) -> None:
    """Without torch: the list is there at once."""
    lines = "\n".join(listed("mnist"))
    assert "zoo:mnist" in lines and str(ZOO / "mnist" / SAMPLES_FILE) in lines and "fid" in lines
    check = (
        "import sys; sys.argv = ['zoo']; import ganlab.zoo.__main__ as z; z.main(); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "zoo:mnist" in done.stdout, done.stderr
    page, sheet = (
        np.asarray(Image.open(file)) for file in (write_page(tmp_path / "zoo.png"), ZOO / "mnist" / SAMPLES_FILE)
    )
    assert page.shape[0] > sheet.shape[0]


def test_a_digit_that_is_asked_for_is_drawn() -> None:
    """A classifier of real digits reads what was asked for."""
    module = load_module(find_checkpoint("zoo:mnist"))
    asked = torch.arange(10).repeat(20)
    images = torch.cat(list(draw(module, asked, latents(module, range(200)))))
    assert (DigitReader()(images)[:, 0] == asked).float().mean() > 0.97


def test_sample_takes_its_name(tmp_path: Path) -> None:
    sample(SampleSettings(checkpoint="zoo:mnist", label=["7"], count=2, out=str(tmp_path)))
    assert sorted(file.name for file in tmp_path.glob("*.png")) == ["7-00000.png", "7-00001.png", "grid.png"]


def test_the_vectors_of_its_captions_come_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer of zoo:emoji does not wait until 1,362 captions are read: `tools/package_captions.py`."""
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))
    spec = read_config(ZOO / "emoji")["spec"]
    captions = [*spec["captions"], *spec["shared"]]
    sentences = FrozenSentences()
    sentences.study(captions)
    assert not list(tmp_path.iterdir())
    some = captions[::100]
    read = torch.stack(MiniLM().vectors(some, torch.device("cpu")))
    torch.testing.assert_close(torch.stack([sentences.vectors.known[one] for one in some]), read, atol=1e-5, rtol=0)


def test_the_package_knows_its_files() -> None:
    """Each file of a model has a suffix that setup.cfg installs."""
    suffixes = {file.suffix for file in ZOO.glob("*/*") if "__pycache__" not in file.parts}
    assert suffixes == {".safetensors", ".json", ".md", ".png"}


def test_load_is_imported_at_its_first_use() -> None:
    check = "import sys, ganlab; assert 'torch' not in sys.modules; print(ganlab.load.__module__)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "ganlab.core.loading\n"
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        ganlab.lode  # noqa: B018
