"""Train on few pictures: from scratch, with augmentation, from zoo:emoji, and from zoo:emoji with frozen layers.

    python benchmarks/few_pictures.py run [sizes=60,100,500] [seeds=3] [arms=scratch,...]
    python benchmarks/few_pictures.py page    # draw the table of docs/howto/starting.md

`run` trains the cells that are not there yet. The model of zoo:emoji has seen none of the pictures. 60 and 100 of them
are drawn from the 152 emoji of held-out concepts, 500 from these with the flags and the signs, which the model's data
leave out. The seed draws the pictures and is the run's seed. `docs/few_pictures/SIZE/ARM/SEED` keeps what tables need
of a run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from contest import settings
from grid import between, is_done, train

STEPS = 400
BATCH = 16
SIDE = 64  # pixels, as zoo:emoji
DOCS = Path(__file__).parents[1] / "docs"
RESULTS, PAGE = DOCS / "few_pictures", DOCS / "howto" / "starting.md"
START, END = "<!-- table: python benchmarks/few_pictures.py page -->", "<!-- end of table -->"
ARMS = {
    "scratch": "perturbation=[]",
    "augmented": "",
    "zoo": "init=zoo:emoji",
    "zoo_unaugmented": "init=zoo:emoji perturbation=[]",
    "zoo_frozen": "init=zoo:emoji discriminator.freeze=2",
}
NUMBERS = ("kid_imagenet", "copying_imagenet")


class Cell(NamedTuple):
    """One run: so many pictures, an arm, a seed."""

    size: int
    arm: str
    seed: int

    @property
    def folder(self) -> Path:
        """Return the folder of the results, below `RESULTS` and below runs/few_pictures."""
        return Path(str(self.size), self.arm, str(self.seed))


def cells(sizes: Sequence[int], seeds: int, arms: Sequence[str] = tuple(ARMS)) -> Iterator[Cell]:
    """Yield the grid: the arms of a size and seed, then the next seed, then the next size."""
    for size in sizes:
        for seed in range(seeds):
            yield from (Cell(size, arm, seed) for arm in arms)


def words(cell: Cell, pictures: Path) -> list[str]:
    """Return the settings of a cell's command. The first look is after a quarter of the iterations."""
    return [
        "recipe=text2img_64",
        *ARMS[cell.arm].split(),
        "data=folder",
        f"data.size={SIDE}",
        f"data.root={pictures}",
        f"batch_size={BATCH}",
        f"trainer.max_steps={STEPS}",
        f"seed={cell.seed}",
        "callbacks.quality.metrics=[kid,copying]",
        "callbacks.quality.split=train",
        "callbacks.quality.extractor=imagenet",
        "callbacks.quality.count=500",
        f"callbacks.quality.every={STEPS * BATCH // 4}",
        "callbacks.collapse=null",
    ]


def write_pictures(size: int, seed: int, folder: Path) -> Path:
    """Write pictures with their captions into folder/train, and the rest of those that the zoo has not seen into test.

    Return the folder. One that is there is left as it is.
    """
    from PIL import Image

    if folder.is_dir():
        return folder
    images, captions = unseen(wide=size > 100)
    for place, row in enumerate(np.random.default_rng(seed).permutation(len(images))):
        split = folder / ("train" if place < size else "test")
        split.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row].transpose(1, 2, 0)).save(split / f"{row:04}.png")
        (split / f"{row:04}.txt").write_text(captions[row] + "\n", encoding="utf-8")
    return folder


def unseen(wide: bool) -> tuple[np.ndarray, list[str]]:
    """Return the emoji that zoo:emoji was not trained on, uint8 (N, 3, SIDE, SIDE), and their captions.

    wide: with flags and signs.
    """
    from ganlab.data.emoji import EmojiData

    seen = set(EmojiData(size=SIDE).load()[0].condition)
    images, captions = [], []
    for pictures in EmojiData(size=SIDE, flags=wide, signs=wide).load()[:2]:
        rows = [row for row, caption in enumerate(pictures.condition) if caption not in seen]
        images.append(pictures.get(np.array(rows, int)).numpy())
        captions += [pictures.condition[row] for row in rows]
    return np.concatenate(images), captions


def draw() -> None:
    """Write the table into the page: each number after a quarter of the iterations and at the end."""
    from ganlab.reports.differences import Group
    from ganlab.reports.forms import as_markdown
    from ganlab.reports.stored import StoredRun, read_run
    from ganlab.reports.tables import Column, Table

    def at(name: str, seen: int) -> Column:
        when = "at the end" if seen == STEPS * BATCH else f"after {seen // BATCH} iterations"
        return Column(
            f"{name} {when}", name, {}, lambda run: dict(run.curves.get(f"quality/{name}", [])).get(float(seen))
        )

    found: dict[tuple[int, str], list[StoredRun]] = {}
    for size in (60, 100, 500):
        for arm in ARMS:
            runs = [read_run(file.parent) for file in sorted((RESULTS / str(size) / arm).glob("*/summary.json"))]
            if runs:
                found[size, arm] = runs
    groups = [Group({"pictures": str(size), "arm": arm}, runs) for (size, arm), runs in found.items()]
    columns = [at(name, seen) for name in NUMBERS for seen in (STEPS * BATCH // 4, STEPS * BATCH)]
    text = as_markdown(Table(groups, columns))
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), START, END, text.strip()), encoding="utf-8")


def main() -> None:
    task, sys.argv[1:] = (sys.argv[1:] or [""])[0], sys.argv[2:]
    said = {"sizes": "60,100,500", "seeds": 3, "arms": ",".join(ARMS)} | settings()
    if task == "run":
        sizes = [int(size) for size in str(said["sizes"]).split(",")]
        for cell in cells(sizes, said["seeds"], said["arms"].split(",")):
            if not is_done(RESULTS / cell.folder):
                pictures = write_pictures(cell.size, cell.seed, Path("few_pictures") / f"{cell.size}-{cell.seed}")
                train(words(cell, pictures), Path("runs/few_pictures") / cell.folder, RESULTS / cell.folder)
    elif task == "page":
        draw()
    else:
        print(__doc__)


if __name__ == "__main__":
    main()
