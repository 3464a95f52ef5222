"""Facts about many pictures, known without decoding them. It is written once, and memory mapped at every start.

The pictures of an index have a fixed order: held-out pictures come first, for any fraction. So both splits of a
source are slices of it, as they are of an array.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ganlab.data.files import Split
from ganlab.data.source import Source
from ganlab.data.split import border_of, place
from ganlab.data.splits import Found
from ganlab.data.texts import Texts

VERSION = 1  # increase it if indexes change, so that old ones in the cache are not used


@dataclass(frozen=True)
class Index:
    """Names, places, captions and classes of N pictures.

    `places`: a number in [0, 1) for each name, (N,). Those below the held-out fraction are held out.
    `given`: the number of pictures in a folder `test/`, which are then held out; -1 if names give no split.
    `labels`: classes (N,). `captions`: all captions in a row; `counts`: the number of each picture's, (N,).
    `columns`: other numbers of each picture, (N,) each.
    """

    names: Texts
    places: np.ndarray
    given: int = -1
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    captions: Texts | None = None
    counts: np.ndarray | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def found(self, source: Source, held_out: float, wordings: int) -> Found:
        """Return the pictures of `source`, which has this order, with at most `wordings` captions each."""
        return Found(source, self.border(held_out), self._captions(wordings), self.labels, self.classes)

    def border(self, fraction: float) -> int:
        """Return the number of held-out pictures."""
        if self.given >= 0:
            return self.given
        return border_of(int(np.searchsorted(self.places, fraction)), len(self), fraction)

    def _captions(self, wordings: int) -> list[list[str]]:
        if self.captions is None or self.counts is None:
            return []
        ends = np.cumsum(self.counts).tolist()
        starts = [0, *ends[:-1]]
        return [self.captions[start : min(end, start + wordings)] for start, end in zip(starts, ends, strict=True)]


def arranged(
    names: Sequence[str],
    labels: np.ndarray | None = None,
    classes: Sequence[str] = (),
    captions: Sequence[Sequence[str]] | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
) -> Index:
    """Return the index of pictures in any order. A name decides alone whether its picture is held out."""
    split = Split(names, 0.0)
    places = np.array([place(name) for name in names])
    held = np.array([split.given and split.held_out(name) for name in names], dtype=bool)
    order = np.lexsort((places, ~held))
    said = [captions[row] for row in order] if captions is not None else None
    return Index(
        Texts.of(names[row] for row in order),
        places[order],
        int(held.sum()) if split.given else -1,
        labels.astype(np.int32)[order] if labels is not None and classes else None,
        tuple(classes),
        Texts.of(text for several in said for text in several) if said is not None else None,
        np.array([len(several) for several in said], np.int32) if said is not None else None,
        {name: values[order] for name, values in (columns or {}).items()},
    )


# Files ------------------------------------------------------------------------------------------------------------


def write_index(folder: Path, index: Index, **facts: Any) -> None:
    """Write an index, and plain facts beside it, into a new folder."""
    folder.mkdir()
    arrays = {"places": index.places, "labels": index.labels, "counts": index.counts}
    arrays |= {f"column-{name}": values for name, values in index.columns.items()}
    for name, texts in (("names", index.names), ("captions", index.captions)):
        if texts is not None:
            arrays |= {f"{name}-letters": texts.letters, f"{name}-ends": texts.ends}
    for name, array in arrays.items():
        if array is not None:
            np.save(folder / f"{name}.npy", array)
    plain = {"given": index.given, "classes": index.classes, **facts}
    (folder / "facts.json").write_text(json.dumps(plain), encoding="utf-8")


def read_facts(folder: Path) -> dict[str, Any]:
    """Return the facts beside an index."""
    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    return facts


def read_index(folder: Path) -> Index:
    """Return the index in a folder, memory mapped."""
    arrays = {file.stem: _mapped(file) for file in folder.glob("*.npy")}
    facts = read_facts(folder)
    texts = [
        Texts(arrays[f"{name}-letters"], arrays[f"{name}-ends"]) if f"{name}-ends" in arrays else None
        for name in ("names", "captions")
    ]
    columns = {name.removeprefix("column-"): array for name, array in arrays.items() if name.startswith("column-")}
    return Index(
        texts[0] or Texts.of([]),
        arrays["places"],
        facts["given"],
        arrays.get("labels"),
        tuple(facts["classes"]),
        texts[1],
        arrays.get("counts"),
        columns,
    )


def _mapped(file: Path) -> np.ndarray:
    """Return an array, memory mapped, as a plain array: a memmap's rows are slow to take one by one."""
    return np.asarray(np.load(file, mmap_mode="r"))
