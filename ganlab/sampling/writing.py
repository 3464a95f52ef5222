"""Write many pictures while the next ones are drawn: encoding and writing happen on threads."""

from __future__ import annotations

import io
import json
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from PIL import Image
from torch import Tensor

from ganlab.files.durable import atomic_write, quick_write
from ganlab.metrics.features import as_colour

FORMATS: Mapping[str, Mapping[str, Any]] = {
    "png": {"format": "PNG"},
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "webp": {"format": "WEBP", "lossless": True, "method": 0},
}
"""The settings of Pillow for each format. PNG and WebP keep every pixel, JPEG does not."""

MANIFEST = "metadata.jsonl"
AHEAD = 256  # files that may wait for the disk: more would only take memory


class Writer:
    """Threads that write files. Leaving its block waits for all of them, and raises the first error."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(min(4, (os.cpu_count() or 1)))
        self.waiting: deque[Future[Any]] = deque()

    def submit(self, function: Callable[..., Any], *values: Any) -> None:
        """Run a function on a thread. Wait if `AHEAD` of them are waiting."""
        self.waiting.append(self.pool.submit(function, *values))
        while len(self.waiting) > AHEAD:
            self.waiting.popleft().result()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            for one in self.waiting:
                one.result()


def native(image: Tensor) -> Image.Image:
    """Return uint8 (C, H, W) as a picture of exactly that size."""
    levels = as_colour(image[None])[0]
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


def encoded(picture: Image.Image, form: str) -> bytes:
    """Return a picture as the bytes of a file of that format, one of `FORMATS`."""
    buffer = io.BytesIO()
    picture.save(buffer, **FORMATS[form])
    return buffer.getvalue()


def write_picture(path: Path, image: Tensor) -> None:
    """Write uint8 (C, H, W) in the format that the suffix names."""
    quick_write(path, encoded(native(image), path.suffix[1:]))


def write_manifest(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write one JSON object a line for each picture: Hugging Face's ImageFolder layout. Return the path."""
    return atomic_write(folder / MANIFEST, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))


def file_hash(path: Path) -> str:
    """Return a file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        hashed = sha256()
        while part := file.read(2**20):
            hashed.update(part)
    return hashed.hexdigest()
