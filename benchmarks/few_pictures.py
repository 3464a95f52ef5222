"""Train on few pictures: from scratch, with augmentation, from a model of the zoo, and from it with frozen layers.

    python benchmarks/few_pictures.py run [data=emoji,cifar10] [sizes=60,100,500] [seeds=3] [arms=scratch,...]
        [cifar10=FOLDER]
    python benchmarks/few_pictures.py page    # draw the table of docs/howto/starting.md

`run` trains the cells that are not there yet. The model of the zoo has seen none of the pictures. 60 and 100 emoji are
drawn from the 152 of held-out concepts, 500 from these with the flags and the signs, which the model's data leave out.
Photographs are as many of each class, from the test split of CIFAR-10. cifar10: a folder with train/ and test/, each
with a folder for each class; torchvision downloads the data without it. The seed draws the pictures and is the run's
seed. `docs/few_pictures/DATA/SIZE/ARM/SEED` keeps what tables need of a run.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from contest import settings
from grid import between, is_done, train

STEPS = 400
BATCH = 16
REST = 1_000  # pictures at most that stay for the held-out measurements
DOCS = Path(__file__).parents[1] / "docs"
RESULTS, PAGE = DOCS / "few_pictures", DOCS / "howto" / "starting.md"
START, END = "<!-- table: python benchmarks/few_pictures.py page -->", "<!-- end of table -->"
RECIPES = {  # the network and the head of zoo:emoji, and of zoo:cifar10
    "emoji": "recipe=text2img_64 data=folder data.size=64",
    "cifar10": "recipe=cgan_class head=separate network=light network.generator.width=24 data=folder data.size=32",
}
ARMS = {
    "scratch": "perturbation=[]",
    "augmented": "perturbation=[translation_cutout]",
    "zoo": "perturbation=[translation_cutout] init=zoo:{data}",
    "zoo_unaugmented": "perturbation=[] init=zoo:{data}",
    "zoo_frozen": "perturbation=[translation_cutout] init=zoo:{data} discriminator.freeze=2",
}
NUMBERS = ("kid_imagenet", "copying_imagenet")


class Cell(NamedTuple):
    """One run: so many pictures of a data set, an arm, a seed."""

    data: str
    size: int
    arm: str
    seed: int

    @property
    def folder(self) -> Path:
        """Return the folder of the results, below `RESULTS` and below runs/few_pictures."""
        return Path(self.data, str(self.size), self.arm, str(self.seed))


def cells(data: Sequence[str], sizes: Sequence[int], seeds: int, arms: Sequence[str] = tuple(ARMS)) -> Iterator[Cell]:
    """Yield the grid: the arms of a size and seed, then the next seed, the next size, the next data set."""
    for name in data:
        for size in sizes:
            for seed in range(seeds):
                yield from (Cell(name, size, arm, seed) for arm in arms)


def words(cell: Cell, pictures: Path) -> list[str]:
    """Return the settings of a cell's command. The first look is after a quarter of the iterations."""
    return [
        *RECIPES[cell.data].split(),
        *ARMS[cell.arm].format(data=cell.data).split(),
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


# Pictures ---------------------------------------------------------------------------------------------------------


def write_pictures(cell: Cell, folder: Path, root: str | None = None) -> Path:
    """Write pictures into folder/train, and others that the zoo has not seen either into folder/test.

    Return the folder. One that is there is left as it is. root: of CIFAR-10's files.
    """
    from PIL import Image

    if folder.is_dir():
        return folder
    images, conditions = unseen_emoji(cell.size > 100) if cell.data == "emoji" else unseen_photos(root)
    for place, row in enumerate(drawn(conditions, cell.seed)[: cell.size + REST]):
        split = folder / ("train" if place < cell.size else "test")
        file = (split / conditions[row] if cell.data == "cifar10" else split) / f"{row:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row].transpose(1, 2, 0)).save(file)
        if cell.data == "emoji":
            file.with_suffix(".txt").write_text(conditions[row] + "\n", encoding="utf-8")
    return folder


def drawn(conditions: Sequence[str], seed: int) -> list[int]:
    """Return all rows in a random order in which each condition comes once before any comes twice.

    >>> rows = drawn(["cat", "cat", "cat", "dog"], seed=0)
    >>> sorted(rows), {("cat", "dog")[row == 3] for row in rows[:2]} == {"cat", "dog"}
    ([0, 1, 2, 3], True)
    """
    rows = np.random.default_rng(seed).permutation(len(conditions))
    counts: Counter[str] = Counter()
    turns = []
    for row in rows:
        turns.append(counts[conditions[row]])
        counts[conditions[row]] += 1
    return rows[np.argsort(turns, kind="stable")].tolist()


def unseen_emoji(wide: bool) -> tuple[np.ndarray, list[str]]:
    """Return the emoji that zoo:emoji was not trained on, uint8 (N, 3, 64, 64), and their captions.

    wide: with flags and signs.
    """
    from ganlab.data.emoji import EmojiData

    seen = set(EmojiData(size=64).load()[0].condition)
    images, captions = [], []
    for pictures in EmojiData(size=64, flags=wide, signs=wide).load()[:2]:
        rows = [row for row, caption in enumerate(pictures.condition) if caption not in seen]
        images.append(pictures.get(np.array(rows, int)).numpy())
        captions += [pictures.condition[row] for row in rows]
    return np.concatenate(images), captions


def unseen_photos(root: str | None) -> tuple[np.ndarray, list[str]]:
    """Return the test split of CIFAR-10, uint8 (N, 3, 32, 32), and the names of their classes."""
    from ganlab.data.folder import FolderData
    from ganlab.data.torchvision import TorchvisionData

    data = FolderData(root, size=32) if root else TorchvisionData("CIFAR10")
    _, pictures, spec = data.load()
    return pictures.get(np.arange(len(pictures))).numpy(), [spec.classes[one] for one in pictures.condition.tolist()]


# Tables -----------------------------------------------------------------------------------------------------------


def draw() -> None:
    """Write the table into the page: each number after a quarter of the iterations and at the end."""
    from ganlab.reports.differences import Group
    from ganlab.reports.forms import as_markdown
    from ganlab.reports.stored import read_run
    from ganlab.reports.tables import Column, Table

    def at(name: str, seen: int) -> Column:
        when = "at the end" if seen == STEPS * BATCH else f"after {seen // BATCH} iterations"
        return Column(
            f"{name} {when}", name, {}, lambda run: dict(run.curves.get(f"quality/{name}", [])).get(float(seen))
        )

    groups = []
    for cell in cells(tuple(RECIPES), (60, 100, 500), 1):
        files = sorted((RESULTS / cell.folder.parent).glob("*/summary.json"))
        if files:
            said = {"data": cell.data, "pictures": str(cell.size), "arm": cell.arm}
            groups.append(Group(said, [read_run(file.parent) for file in files]))
    columns = [at(name, seen) for name in NUMBERS for seen in (STEPS * BATCH // 4, STEPS * BATCH)]
    text = as_markdown(Table(groups, columns))
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), START, END, text.strip()), encoding="utf-8")


def main() -> None:
    task, sys.argv[1:] = (sys.argv[1:] or [""])[0], sys.argv[2:]
    said = {"data": ",".join(RECIPES), "sizes": "60,100,500", "seeds": 3, "arms": ",".join(ARMS)} | settings()
    if task == "run":
        sizes = [int(size) for size in str(said["sizes"]).split(",")]
        for cell in cells(str(said["data"]).split(","), sizes, said["seeds"], said["arms"].split(",")):
            if not is_done(RESULTS / cell.folder):
                folder = Path("few_pictures", cell.data, f"{cell.size}-{cell.seed}")
                pictures = write_pictures(cell, folder, said.get("cifar10"))
                train(words(cell, pictures), Path("runs/few_pictures") / cell.folder, RESULTS / cell.folder)
    elif task == "page":
        draw()
    else:
        print(__doc__)


if __name__ == "__main__":
    main()
