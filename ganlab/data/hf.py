"""Data sets of the Hugging Face package `datasets`: Parquet and Arrow files, saved folders, or names on the hub.

Pictures, captions and classes are found by their feature types. Rows stay in memory mapped Arrow tables; a picture is
decoded when it is drawn.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ganlab.config.ranges import Channels, NonNegativeInt, ProperFraction, Seed, Size, Workers
from ganlab.data.base import DataSpec
from ganlab.data.cache import cache_folder
from ganlab.data.checks import check_root
from ganlab.data.decode import Encoded, Form
from ganlab.data.decoded import Decoded
from ganlab.data.files import REFERENCE, TRAINING
from ganlab.data.order import key
from ganlab.data.picture_files import PictureFiles
from ganlab.data.pictures import Pictures
from ganlab.data.split import border_of
from ganlab.data.splits import Found
from ganlab.data.tables import one_line
from ganlab.errors import UserError

CAPTIONS = ("text", "caption", "captions", "prompt", "description", "sentence", "sentences")
"""Names of columns that hold captions, if there are several columns of text."""


class HfData(PictureFiles):
    """The pictures of a data set of the package `datasets`, at `size` x `size`, or height and width.

    `root`: a folder that `save_to_disk` wrote, a Parquet or Arrow file, or a folder of such files. `name`: a data set
    on the hub instead, `subset` its configuration, downloaded only if `download` allows it. `split`: the training
    split. The reference is the split `test` or `validation` if there is one, else the fraction `held_out`, by row.
    `column`: the captions or classes; by default text columns are captions, else ClassLabel columns are classes.
    `crop`: cut the middle of the aspect out, else squeeze. `channels`: 3, or 1 for grey. `flip`: mirror at random.
    `wordings`: the largest number of captions of a picture that are used; 0 for none, as if there were no text.
    `balanced`: draw each class equally often.
    """

    kinds: ClassVar[tuple[str, ...]] = ("none", "class", "text")

    def __init__(
        self,
        root: str | Path | None = None,
        name: str | None = None,
        subset: str | None = None,
        split: str = "train",
        column: str | None = None,
        size: Size = 64,
        crop: bool = True,
        channels: Channels = 3,
        held_out: ProperFraction = 0.1,
        flip: bool = False,
        wordings: NonNegativeInt = 64,
        balanced: bool = False,
        workers: Workers = 0,
        seed: Seed = 0,
        download: bool = True,
    ) -> None:
        super().__init__(size, crop, channels, held_out, flip, workers, seed)
        if (root is None) == (name is None):
            raise UserError(
                "data=hf needs a file or folder, data.root=FOLDER, or a name on the hub, data.name=OWNER/SET"
            )
        if name is not None and not download:
            raise UserError(
                f"data.name={name} is on the hub, and a checkpoint's recipe fetches nothing: pass allow=[hub]"
            )
        self.root, self.name, self.subset = None if root is None else check_root(root), name, subset
        self.split, self.column = split, column
        self.wordings, self.balanced = wordings, balanced

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        package = _package()
        splits = of_root(package, self.root) if self.root else of_hub(package, str(self.name), self.subset)
        if self.split not in splits:
            raise UserError(f"`split` must be one of {', '.join(splits)}, got {self.split!r}")
        reference = next((name for name in splits if name in REFERENCE and name != self.split), None)
        table, held = splits[self.split], 0
        if reference:
            table, held = package.concatenate_datasets([splits[reference], table]), len(splits[reference])
        return self._found(table, held).divided(self.flip, self.balanced)

    def _found(self, table: Any, held: int) -> Found:
        order, border = (np.arange(len(table)), held) if held else _drawn(len(table), self.held_out)
        source = Rows(table, _picture_column(table.features), order, self.form)
        column = _condition_column(table.features, self.column, self.wordings > 0)
        if column is None:
            return Found(source, border)
        cells = table[column][:]
        if hasattr(table.features[column], "names"):
            return Found(source, border, labels=np.array(cells)[order], classes=tuple(table.features[column].names))
        return Found(source, border, [_captions(cells[row], int(row), column)[: self.wordings] for row in order])


class Rows(Decoded):
    """The pictures in the column `column` of a data set, in an order."""

    def __init__(self, table: Any, column: str, order: np.ndarray, form: Form) -> None:
        super().__init__(len(order), form)
        from datasets import Image

        self.column, self.order = column, order
        self.table = table.select_columns([column]).cast_column(column, Image(decode=False))

    def encoded(self, row: int) -> Encoded:
        """Return the picture's bytes, or its file if the data set names one."""
        cell = self.table[int(self.order[row])][self.column] or {}
        if cell.get("bytes"):
            return bytes(cell["bytes"])
        if cell.get("path"):
            return Path(cell["path"])
        raise ValueError("it is empty")

    def name(self, row: int) -> str:
        """Return the row's number in the data set."""
        return f"row {int(self.order[row])}"


def _drawn(count: int, fraction: float) -> tuple[np.ndarray, int]:
    """Return all rows, with those that are held out first, and the number of these. A row's number alone decides."""
    places = key(0, np.arange(count)) / 2.0**64
    return np.argsort(places, kind="stable"), border_of(int((places < fraction).sum()), count, fraction)


# Opening ----------------------------------------------------------------------------------------------------------


def _package() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            'data=hf needs the package datasets, which is not installed: pip install "ganlab[hf]"'
        ) from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    return datasets


def of_root(package: Any, root: Path) -> Mapping[str, Any]:
    """Return the splits of a saved folder, of Parquet files or of Arrow files. Nothing is fetched."""
    wrong = f"`root` must be a folder of datasets.save_to_disk, or Parquet or Arrow files, got {root}"
    if not root.exists():
        raise UserError(f"{wrong}, which is not there")
    try:
        if (root / "dataset_dict.json").is_file():
            return dict(package.load_from_disk(str(root)))
        if (root / "state.json").is_file():
            return {"train": package.load_from_disk(str(root))}
        files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
        for suffix, read in ((".parquet", _of_parquet), (".arrow", _of_arrow)):
            if parts := _by_split([file for file in files if file.suffix == suffix], root):
                return read(package, parts)
    except UserError:
        raise
    except Exception as error:  # a broken file makes pyarrow raise nearly anything
        raise UserError(f"{wrong}: {' '.join(str(error).split())[:300]}") from error
    raise UserError(f"{wrong}, which has none")


def of_hub(package: Any, name: str, subset: str | None) -> Mapping[str, Any]:
    """Return the splits of a data set on the hub, from its cache if it was downloaded before."""
    try:
        return dict(package.load_dataset(name, subset))
    except Exception as error:  # no network, no such set, no such configuration, no permission
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(f"`name` {name} cannot be loaded from the hub ({reason}): pass data.root=FOLDER") from error


def _of_parquet(package: Any, parts: Mapping[str, list[str]]) -> Mapping[str, Any]:
    cache = cache_folder() / "huggingface"
    return dict(package.load_dataset("parquet", data_files=dict(parts), cache_dir=str(cache)))


def _of_arrow(package: Any, parts: Mapping[str, list[str]]) -> Mapping[str, Any]:
    read = package.Dataset.from_file
    return {split: package.concatenate_datasets([read(file) for file in files]) for split, files in parts.items()}


def _by_split(files: Sequence[Path], root: Path) -> dict[str, list[str]]:
    """Return the files of each split, by the words in their names: `train-00000-of-00002.parquet`, `test/0.parquet`."""
    found: dict[str, list[str]] = {}
    for file in files:
        words = re.split(r"[^a-z]+", file.relative_to(root.parent if root.is_file() else root).as_posix().lower())
        split = next((word for word in words if word in TRAINING | REFERENCE), "train")
        found.setdefault("train" if split in TRAINING else split, []).append(str(file))
    return found


# Columns ----------------------------------------------------------------------------------------------------------


def _picture_column(features: Mapping[str, Any]) -> str:
    """Return the first column of pictures. A column `image` of bytes counts too: plain Parquet files have no types."""
    typed = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    plain = [name for name, feature in features.items() if _is_encoded(feature) and name in ("image", "img", "picture")]
    if not typed + plain:
        raise UserError(f"`root` or `name` must have a column of pictures, and has {_listed(features)}")
    return (typed + plain)[0]


def _is_encoded(feature: Any) -> bool:
    return getattr(feature, "dtype", "") == "binary" or (isinstance(feature, dict) and "bytes" in feature)


def _condition_column(features: Mapping[str, Any], wanted: str | None, captioned: bool = True) -> str | None:
    """Return the column of captions, else of classes, or None if there is neither."""
    texts = [name for name, feature in features.items() if captioned and _is_text(feature)]
    labels = [name for name, feature in features.items() if hasattr(feature, "names")]
    if wanted is not None:
        if wanted not in (*texts, *labels):
            raise UserError(f"`column` must be a column of captions or classes, got {wanted!r} of {_listed(features)}")
        return wanted
    named = [name for name in texts if name.lower() in CAPTIONS]
    return next(iter([*named, *(texts if len(texts) == 1 and not labels else []), *labels]), None)


def _is_text(feature: Any) -> bool:
    """Return whether a feature is a text, or a list of texts."""
    inner = getattr(feature, "feature", feature)
    return getattr(inner, "dtype", "") in ("string", "large_string") and not hasattr(inner, "names")


def _listed(features: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} ({getattr(one, 'dtype', None) or type(one).__name__})" for name, one in features.items())


def _captions(cell: Any, row: int, column: str) -> list[str]:
    texts = cell if isinstance(cell, list) else [cell]
    found = [line for text in texts if isinstance(text, str) and (line := one_line(text, f"row {row}"))]
    if not found:
        raise UserError(
            f"`column`: row {row} has no caption in {column}: pass another data.column, or filter the data set"
        )
    return found
