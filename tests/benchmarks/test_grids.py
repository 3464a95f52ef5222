"""The grids of benchmarks/: their commands compose, a cell is trained and kept, and the tables are drawn from files."""

from __future__ import annotations

import csv
import json
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganlab.config.recipe import compose
from ganlab.errors import UserError
from ganlab.files.settings_file import read_yaml

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PACE = {"seconds": 0.25, "images": 80.0}


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that imports a module of benchmarks/."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module


def test_every_command_of_the_baselines_composes(benchmark: Any) -> None:
    baselines = benchmark("baselines")
    grid = list(baselines.cells(list(baselines.DATA), list(baselines.RECIPES), 3))
    assert len(grid) == len(set(grid)) == 9 * len(baselines.RECIPES)
    assert [cell.seed for cell in grid[:: len(baselines.RECIPES)]] == [0, 1, 2] * 3
    for cell in grid:
        if cell.seed == 1:
            recipe = compose(*baselines.words(cell, PACE, {"cifar10": "photos"}))
            assert recipe["seed"] == 1
            assert recipe["batch_size"] == baselines.BATCH


def test_both_budgets_are_measured(benchmark: Any) -> None:
    """A look is due at the smaller budget, and the run ends at the larger one."""
    baselines = benchmark("baselines")
    for seconds in (0.1, 2.0):
        pace = {"seconds": seconds, "images": 80.0}
        recipe = compose(*baselines.words(baselines.Cell("mnist", "hinge_sn", 0), pace, {}))
        budgets = baselines.points(pace)
        assert recipe["callbacks"]["quality"]["every"] == min(budgets.values())
        assert recipe["trainer"]["max_steps"] * 80 == max(budgets.values())


def test_every_command_of_few_pictures_composes(benchmark: Any) -> None:
    few = benchmark("few_pictures")
    for cell in few.cells(list(few.RECIPES), [60], 1):
        recipe = compose(*few.words(cell, Path("pictures")))
        assert recipe["init"] == (f"zoo:{cell.data}" if cell.arm.startswith("zoo") else None)
        assert bool(recipe["perturbations"]) == (cell.arm not in ("scratch", "zoo_unaugmented"))


def test_few_photographs_are_as_many_of_each_class(
    benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = benchmark("few_pictures")
    names = ["cat"] * 20 + ["dog"] * 12
    images = np.arange(32, dtype=np.uint8)[:, None, None, None].repeat(3, 1).repeat(8, 2).repeat(8, 3)
    monkeypatch.setattr(few, "unseen_photos", lambda root: (images, names))
    few.write_pictures(few.Cell("cifar10", 10, "zoo", 0), tmp_path / "0")
    few.write_pictures(few.Cell("cifar10", 10, "zoo", 1), tmp_path / "1")
    found = [{file.relative_to(tmp_path / seed) for file in (tmp_path / seed).glob("*/*/*.png")} for seed in "01"]
    assert found[0] != found[1]
    for files in found:
        assert Counter(file.parent.as_posix() for file in files) == {
            "train/cat": 5, "train/dog": 5, "test/cat": 15, "test/dog": 7,
        }  # fmt: skip


def test_a_cell_is_trained_and_kept(benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = benchmark("grid")
    monkeypatch.chdir(tmp_path)
    words = ["recipe=ring", "trainer.max_steps=2", "callbacks.quality.count=50", "callbacks.collapse=null"]
    grid.train(words, Path("runs/cell"), Path("kept/cell"))
    assert grid.is_done(Path("kept/cell"))
    assert read_yaml(Path("kept/cell/recipe.yaml"))["trainer"]["max_steps"] == 2
    assert not any(str(tmp_path) in file.read_text() for file in Path("kept/cell").iterdir())


def test_a_failed_cell_is_not_kept(benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = benchmark("grid")
    grid.train(["recipe=ring", "no_such_setting=1"], tmp_path / "run", tmp_path / "kept")
    assert "no_such_setting" in capsys.readouterr().out
    assert not grid.is_done(tmp_path / "kept")


def store(folder: Path, name: str, seed: int, rows: list[dict[str, float]], fakes: int = 1300) -> None:
    """Write the files of a cell."""
    folder.mkdir(parents=True)
    protocol = {"measure": "fid", "fakes": fakes}
    summary = {"recipe": name, "command": "python -m ganlab.fit", "protocols": {"fid_imagenet": protocol}}
    (folder / "recipe.yaml").write_text(f"recipe: {name}\nseed: {seed}\n")
    (folder / "summary.json").write_text(json.dumps(summary))
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def row(seen: int, fid: float) -> dict[str, float]:
    """Return a row of metrics.csv."""
    return {"iteration": seen // 80, "images_seen": seen, "quality/fid_imagenet": fid}


def test_tables_have_the_numbers_at_both_budgets(
    benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5,040 images are the first of 80 an iteration beyond 5,000; 45 s are 180 iterations of 0.25 s: 14,400 images."""
    baselines, page = benchmark("baselines"), benchmark("baselines_page")
    for module in (baselines, page):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
        monkeypatch.setattr(module, "IMAGES", 5_000)
        monkeypatch.setattr(module, "SECONDS", 45.0)
    (tmp_path / "pace.json").write_text(json.dumps({"lsgan": PACE}))
    for seed, value in enumerate((100.0, 104.0)):
        rows = [row(seen, value / k) for k, seen in ((1, 5040), (2, 14400))]
        store(tmp_path / "cifar10" / "lsgan" / str(seed), "lsgan", seed, rows)
    text = "\n".join(page.tables_of("cifar10"))
    assert "| lsgan | 2 | 102 ± 2.8 |" in text
    assert "| lsgan | 2 | 51 ± 1.4 |" in text
    rows[0]["seconds"], rows[1]["seconds"] = 20.0, 44.0
    store(tmp_path / "cifar10" / "peer_sngan" / "0", "peer_sngan", 0, rows, fakes=100)
    with pytest.raises(UserError, match="fid was measured differently: fakes"):
        list(page.tables_of("cifar10"))
