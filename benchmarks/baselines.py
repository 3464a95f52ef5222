"""Train and measure baselines: a grid of data sets, recipes and seeds, each cell one run of `python -m ganlab.fit`.

    python benchmarks/baselines.py pace                  # once for a machine: seconds of an iteration of each recipe
    python benchmarks/baselines.py run [data=cifar10,mnist,emoji] [only=dcgan,lsgan] [seeds=3]
        [cifar10=FOLDER] [mnist=FOLDER]                  # train the cells that are not there yet
    python benchmarks/baselines.py page                  # draw the tables of docs/baselines.md

A cell is measured when it has seen `IMAGES` images and when it has trained for `SECONDS` seconds of one thread. The
seconds become iterations by docs/baselines/pace.json, so a command gives the same numbers on any machine.
`docs/baselines/DATA/RECIPE/SEED` keeps what tables need of a run: recipe.yaml, metrics.csv and summary.json. A cell
with a summary is skipped, so the command may be stopped and started again at any time. cifar10: a folder with train/
and test/, each with a folder for each class. torchvision downloads the data without it, and without mnist=FOLDER.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from contest import settings
from grid import is_done, train

IMAGES = 6_000
SECONDS = 45.0
COUNT = 1_300  # samples of a measurement: more than the 1,280 features, as few as that allows
BATCH = 16
RATE = 1e-3  # of both players: with the recipes' own 2e-4 so few iterations leave blurs
METRICS = ("fid", "kid", "precision", "recall", "density", "coverage")
DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS / "baselines"

DATA = {"cifar10": "data=cifar10", "mnist": "data=mnist", "emoji": "data=emoji"}
CONDITIONS = {"cifar10": "classes", "mnist": "classes", "emoji": "caption"}
NARROW = "network.generator.width=32 network.discriminator.width=32"
RECIPES = {
    "dcgan": f"recipe=vanilla network=dcgan {NARROW} regularizer=[]",
    "lsgan": f"recipe=lsgan {NARROW}",
    "wgan_gp": "recipe=wgan_gp network=lighter",
    "hinge_sn": "recipe=hinge network=lighter",
    "ns_r1": "recipe=vanilla network=lighter",
    "r3gan": "recipe=r3gan",
    "stylegan2": "recipe=vanilla network=stylegan2 betas=[0.0,0.99] gamma=1 penalty_every=8",
    "projected": "recipe=vanilla network=projected objective=hinge regularizer=[] perturbation=[diffaugment]",
    "fastgan": "recipe=vanilla network=fastgan objective=hinge regularizer=[reconstruction] perturbation=[diffaugment]",
    "class_projection": "recipe=cgan_class network=lighter head=projection",
    "class_joint": "recipe=cgan_class network=lighter head=joint",
    "class_separate": "recipe=cgan_class network=lighter head=separate",
}


class Cell(NamedTuple):
    """One run of the grid."""

    data: str
    recipe: str
    seed: int

    @property
    def folder(self) -> Path:
        """Return the folder of the results, below `RESULTS` and below runs/baselines."""
        return Path(self.data, self.recipe, str(self.seed))


def cells(data: Sequence[str], recipes: Sequence[str], seeds: int) -> Iterator[Cell]:
    """Yield the grid: seed 0 of all recipes on the first data set, its other seeds, then the next data set."""
    for name in data:
        for seed in range(seeds):
            yield from (Cell(name, recipe, seed) for recipe in recipes)


def words(cell: Cell, pace: Mapping[str, float], where: Mapping[str, str]) -> list[str]:
    """Return the settings of a cell's command. pace: its recipe's seconds and images of an iteration."""
    budgets = points(pace)
    said = [*RECIPES[cell.recipe].split(), *data_words(cell.data, where)]
    if "recipe=cgan_class" in said:
        said.append(f"condition={CONDITIONS[cell.data]}")
    return [
        *said,
        f"batch_size={BATCH}",
        f"generator.optimizer.lr={RATE}",
        f"discriminator.optimizer.lr={RATE}",
        f"seed={cell.seed}",
        f"trainer.max_steps={max(budgets.values()) // round(pace['images'])}",
        f"callbacks.quality.metrics=[{','.join(METRICS)}]",
        "callbacks.quality.extractor=imagenet",
        f"callbacks.quality.count={COUNT}",
        f"callbacks.quality.every={min(budgets.values())}",
        f"callbacks.collapse.every={IMAGES // 2}",
    ]


def data_words(data: str, where: Mapping[str, str]) -> list[str]:
    """Return the settings of a data set: torchvision's, or a folder's."""
    if data == "cifar10" and data in where:
        return ["data=folder", f"data.root={where[data]}", "data.size=32", "data.flip=true"]
    return [DATA[data], *([f"data.root={where[data]}"] if data in where else [])]


def points(pace: Mapping[str, float]) -> dict[str, int]:
    """Return the images seen at which a run has spent each budget.

    >>> points({"seconds": 0.25, "images": 80})
    {'images': 6000, 'seconds': 14400}
    """
    images = round(pace["images"])
    return {
        "images": math.ceil(IMAGES / images) * images,
        "seconds": max(1, round(SECONDS / pace["seconds"])) * images,
    }


# Pace -------------------------------------------------------------------------------------------------------------


def measured_pace(cell: Cell, where: Mapping[str, str], seconds: float = 8.0) -> dict[str, float]:
    """Return the processor's seconds and the images of an iteration, from the iterations after the first five."""
    import pytorch_lightning as pl
    import torch

    from ganlab.config.recipe import compose
    from ganlab.core.assembly import make_data, make_module, make_trainer
    from ganlab.runs.training import quiet_lightning

    class Stop(pl.Callback):
        """Stop the trainer after some seconds."""

        began = 0.0
        first = 0
        spent = 0.0

        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            if module.iteration == 5:
                self.began, self.first = time.process_time(), module.iteration
            self.spent = time.process_time() - self.began if self.first else 0.0
            trainer.should_stop = self.spent > seconds and module.iteration % 16 == 5  # 16: the longest interval

    torch.set_num_threads(1)
    quiet_lightning()
    said = [one for one in words(cell, {"seconds": 1.0, "images": BATCH}, where) if "callbacks" not in one]
    recipe = compose(*said, "callbacks={}", "logger=[]", "trainer.accelerator=cpu", "trainer.max_steps=100000")
    data = make_data(recipe)
    module = make_module(recipe, data.spec)
    trainer, watch = make_trainer(recipe, Path("runs/baselines/pace")), Stop()
    trainer.callbacks.append(watch)
    trainer.fit(module, datamodule=data)
    iterations = module.iteration - watch.first
    return {"seconds": round(watch.spent / iterations, 4), "images": module.images_seen / module.iteration}


def paces() -> dict[str, dict[str, float]]:
    """Return the stored pace of each recipe."""
    file = RESULTS / "pace.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def measure_paces(recipes: Sequence[str], where: Mapping[str, str]) -> None:
    """Measure and store the pace of the recipes that have none, on CIFAR-10."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in recipes:
        if name not in (known := paces()):
            found = measured_pace(Cell("cifar10", name, 0), where)
            print(name, found, points(found), flush=True)
            (RESULTS / "pace.json").write_text(json.dumps(known | {name: found}, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    task, sys.argv[1:] = (sys.argv[1:] or [""])[0], sys.argv[2:]
    said = {"data": ",".join(DATA), "only": ",".join(RECIPES), "seeds": 3} | settings()
    where = {name: str(said[name]) for name in DATA if name in said}
    recipes = str(said["only"]).split(",")
    if task == "pace":
        measure_paces(recipes, where)
    elif task == "run":
        known = paces()
        for cell in cells(str(said["data"]).split(","), recipes, int(said["seeds"])):
            if not is_done(RESULTS / cell.folder):
                said_words = words(cell, known[cell.recipe], where)
                train(said_words, Path("runs/baselines") / cell.folder, RESULTS / cell.folder)
    elif task == "page":
        from baselines_page import draw

        draw()
    else:
        print(__doc__)


if __name__ == "__main__":
    main()
