"""Every recipe, as it is shipped: trains, samples, evaluates, resumes. A recipe that does not cannot land.

Only what costs time is made smaller: widths, counts and iterations.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ganlab.config.catalog import Catalog, recipe_folder
from ganlab.config.recipe import compose
from ganlab.core.checkpoints import load_module, read_checkpoint
from ganlab.evaluate import EvaluateSettings, evaluate
from ganlab.files.run_folder import RunFolder
from ganlab.runs.training import train
from ganlab.sample import SampleSettings, sample

RECIPES = sorted(Catalog((recipe_folder(),)).recipes())
SMALL = (
    "batch_size=8",
    "network.generator.width=8",
    "network.discriminator.width=8",
    "callbacks.quality.count=40",
    "callbacks.quality.extractor=small",
    "callbacks.collapse.count=40",
    "callbacks.collapse.extractor=small",
    "callbacks.game.every=2",
    "callbacks.pictures.count=4",
)


FILES = {
    "stacked_mnist": ("data.root={mnist}", "data.count=300", "data.held_out_count=300"),
    "few_shot": ("data.root={photos}", "callbacks.copies.extractor=small", "callbacks.copies.count=4"),
}
"""What recipes need whose data are not in the package."""


@pytest.fixture(scope="module", params=RECIPES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mnist: Path, photos: Path) -> Path:
    """The folder of a run of four iterations."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    files = (word.format(mnist=mnist, photos=photos) for word in FILES.get(request.param, ()))
    return train(compose(f"recipe={request.param}", f"run_dir={folder}", "trainer.max_steps=4", *SMALL, *files))


def test_leaves_what_it_promises(run: Path) -> None:
    folder = RunFolder(run)
    summary = json.loads(folder.summary_file.read_text())
    assert summary["iterations"] == 4
    assert summary["images_seen"] % 32 == 0
    assert summary["metrics"]
    assert folder.recipe_file.exists() and folder.metrics_file.exists() and folder.last_file.exists()
    assert list(folder.samples.glob("*.png"))


def test_samples_picture_by_picture(run: Path, tmp_path: Path) -> None:
    sample(SampleSettings(checkpoint=str(run), count=2, out=str(tmp_path)))
    assert (tmp_path / "grid.png").exists()


def test_evaluates(run: Path, tmp_path: Path) -> None:
    shape = load_module(RunFolder(run).last()).spec.shape
    metrics = ["fid"] if len(shape) == 3 else ["modes"]
    out = tmp_path / "numbers.json"
    evaluate(EvaluateSettings(checkpoint=str(run), count=30, metrics=metrics, extractor="small", out=str(out)))
    for result in json.loads(out.read_text())["metrics"].values():
        assert result["protocol"]["seed"] == 0


def test_resumes(run: Path, tmp_path: Path) -> None:
    resumed = train(compose(f"resume={run}", "trainer.max_steps=6", f"run_dir={tmp_path / 'more'}"))
    assert read_checkpoint(RunFolder(resumed).last())["ganlab"]["iteration"] == 6


def test_a_checkpoint_alone_gives_the_same_pictures(run: Path) -> None:
    """Weights load without running code, and the same latent gives the same picture."""
    first, second = (load_module(RunFolder(run).last()) for _ in range(2))
    latent = torch.randn(2, first.latent_dim)
    image = torch.rand(2, *first.spec.shape)
    condition = {"text": ["a", "b"], "class": torch.tensor([0, 1]), "image": image}.get(first.spec.kind)
    assert torch.equal(first.sample(latent, condition), second.sample(latent, condition))
