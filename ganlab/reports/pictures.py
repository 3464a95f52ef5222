"""Pictures inside a page: sheets of samples as compressed data URIs, within a budget."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image

WIDEST, QUALITY = 1_000, 80  # pixels; of WebP
MOST = 24  # sheets of a run
BUDGET = 3_000_000  # characters of all pictures in a page


class Sheet(NamedTuple):
    """A sheet of samples: the images seen, and the picture as a data URI."""

    x: int
    src: str


def data_uri(file: Path) -> str:
    """Return a picture as a data URI, reduced to `WIDEST` pixels."""
    facts = file.stat()
    return _encoded(file, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=256)
def _encoded(file: Path, changed: int, size: int) -> str:
    """Return the data URI of a file as it was at one time. A run's report encodes each sheet once."""
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((WIDEST, 4 * WIDEST))
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", quality=QUALITY, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def sheets(files: Sequence[tuple[int, Path]], budget: int = BUDGET) -> list[Sheet]:
    """Return the sheets of a run, the first and the last among them; fewer if they are large."""
    if not files:
        return []
    size = len(data_uri(files[-1][1]))
    return [Sheet(x, data_uri(file)) for x, file in spread(files, max(2, min(MOST, budget // size)))]


def spread(items: Sequence[tuple[int, Path]], most: int) -> list[tuple[int, Path]]:
    """Return at most so many items at equal distances, both ends among them.

    >>> [x for x, _ in spread([(x, Path()) for x in range(10)], 4)]
    [0, 3, 6, 9]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
