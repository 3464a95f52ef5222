"""Copies of training pictures are counted, shown beside their originals, and told from new pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganlab.callbacks.copies import Copies, CopyReport
from ganlab.config.recipe import compose
from ganlab.data.base import DataSpec
from ganlab.data.batch import to_float
from ganlab.data.pictures import Pictures
from ganlab.files.run_folder import RunFolder
from ganlab.metrics.copying import nearest
from ganlab.runs.training import train

Make = Callable[..., Any]
COUNT = 12


@pytest.fixture
def data() -> Any:
    """Pictures of smooth random colours, a fifth of them held out."""
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (40, 3, 4, 4), dtype=np.uint8)
    images = np.repeat(np.repeat(small, 8, 2), 8, 3)
    spec = DataSpec((3, 32, 32))
    return SimpleNamespace(train=Pictures(images[:32], flip=True), reference=Pictures(images[32:]), spec=spec)


class Player:
    """A module whose samples are the given pictures."""

    device = torch.device("cpu")

    def __init__(self, pictures: Tensor, spec: DataSpec) -> None:
        self.pictures, self.spec = pictures, spec

    def draw_latent(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.zeros(count, 1)

    def sample(self, latent: Tensor, condition: Any) -> Tensor:
        return to_float(self.pictures[: len(latent)])


def measured(data: Any, pictures: Tensor, folder: Path) -> tuple[CopyReport, dict[str, float]]:
    report = CopyReport(count=COUNT, extractor="small")
    trainer: Any = SimpleNamespace(datamodule=data, default_root_dir=folder)
    return report, report.measure(trainer, Player(pictures, data.spec))  # type: ignore[arg-type]


def test_copies_are_found_mirrored_ones_too(data: Any, tmp_path: Path) -> None:
    """Eight copies, half of them mirrored, and four pictures that training never had."""
    originals = data.train.get(np.arange(8))
    copies = torch.cat([originals[:4], originals[4:].flip(-1), data.reference.get(np.arange(4))])
    report, values = measured(data, copies, tmp_path)
    assert report.found is not None
    assert (report.found.near, report.found.samples, report.found.near_held_out, report.found.held_out) == (8, 12, 0, 8)
    assert values["copies/near_copies"] == pytest.approx(8 / 12)
    assert "copies/overfitting" not in values  # such a player has no discriminator
    assert report.found.words()[0].startswith(
        "8 of 12 samples are near copies of a training picture (0 of 8 held-out pictures are): "
    )


def test_the_sheet_shows_each_sample_beside_its_original(data: Any, tmp_path: Path) -> None:
    """Copies come first. The two pictures of such a pair are equal, pixel by pixel."""
    pictures = torch.cat([data.reference.get(np.arange(4)), data.train.get(np.arange(8))])
    measured(data, pictures, tmp_path)
    sheet = np.asarray(Image.open(RunFolder(tmp_path).samples / "copies.png"))
    side, margin = 96, 6  # 32 pixels, three times as large
    sample, twin = (sheet[margin : margin + side, left : left + side] for left in (margin, 2 * margin + side))
    assert (sample == twin).all()
    assert sample.std() > 0


def test_new_pictures_are_no_copies(data: Any, tmp_path: Path) -> None:
    report, values = measured(data, data.reference.get(np.arange(8)), tmp_path)
    assert values["copies/near_copies"] == 0
    assert report.summary()["near"] == 0


def test_the_nearest_of_a_pool() -> None:
    distances, rows = nearest(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[3.0, 3.0], [0.0, 2.0]]))
    assert (distances.tolist(), rows.tolist()) == ([2.0, 1.0], [1, 0])


@pytest.mark.parametrize(
    ("overfitting", "words"),
    [
        (0.1, "judges held-out pictures nearly like training pictures"),
        (0.5, "judges held-out pictures less real than training pictures"),
        (0.9, "judges held-out pictures like generated ones"),
        (None, "overfitting is unknown"),
    ],
)
def test_overfitting_in_words(overfitting: float | None, words: str) -> None:
    found = Copies(3, 4, 0, 0, 0.9, overfitting, Path("copies.png"))
    assert words in found.words()[-1]
    assert "3 of 4 samples are near copies of a training picture: " in found.words()[0]
    beside = found._replace(near_held_out=1, held_out=5)
    assert "(1 of 5 held-out pictures are)" in beside.words()[0]


def test_a_run_on_few_pictures_ends_with_the_report(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = [f"callbacks.{name}=null" for name in ("quality", "collapse", "pictures", "game", "progress")]
    small = ("network.generator.width=4", "network.discriminator.width=4", "data.size=16", "trainer.max_steps=2")
    report = ("callbacks.copies.extractor=small", "callbacks.copies.count=6")
    words = ("recipe=few_shot", f"data.root={photos}", f"run_dir={tmp_path / 'run'}")
    run = train(compose(*words, *small, *report, *quiet))
    summary = json.loads(RunFolder(run).summary_file.read_text())
    assert summary["copies"]["samples"] == 6
    logged = np.float32(summary["copies"]["overfitting"])  # as Lightning holds numbers
    assert summary["metrics"]["copies/overfitting"] == float(logged)
    said = " ".join(capsys.readouterr().out.split())
    assert all(sentence in said for sentence in summary["copies"]["words"])
    assert (RunFolder(run).samples / "copies.png").exists()
