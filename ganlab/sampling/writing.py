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

import numpy as np
from PIL import Image
from torch import Tensor

from ganlab.files.durable import atomic_write, quick_write
from ganlab.files.png import png_bytes
from ganlab.metrics.features import as_colour

FORMATS: Mapping[str, Mapping[str, Any]] = {
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "webp": {"format": "WEBP", "lossless": True, "method": 0},
}
"""The settings of Pillow for the formats beside PNG. WebP keeps every pixel, JPEG does not."""

MANIFEST = "metadata.jsonl"
AHEAD = 4  # batches that may wait for the disk: more would only take memory


class Writer:
    """Threads that write files. Leaving its block waits for all of them, and raises the first error."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(min(4, max(1, (os.cpu_count() or 1) - 1)))  # a core is left for the generator
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


def native(image: Tensor) -> np.ndarray:
    """Return uint8 (C, H, W) as the pixels (H, W, 3) of a picture."""
    return as_colour(image[None])[0].permute(1, 2, 0).contiguous().numpy()


def encoded(pixels: np.ndarray, form: str = "png") -> bytes:
    """Return pixels uint8 (H, W, 3) as the bytes of a file of that format: png, or one of `FORMATS`."""
    if form == "png":
        return png_bytes(pixels)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **FORMATS[form])
    return buffer.getvalue()


def write_pictures(paths: Sequence[Path], images: Tensor) -> None:
    """Write uint8 (N, C, H, W) as N files, each in the format that its suffix names."""
    for path, pixels in zip(paths, as_colour(images).permute(0, 2, 3, 1).contiguous().numpy(), strict=True):
        quick_write(path, encoded(pixels, path.suffix[1:]))


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
