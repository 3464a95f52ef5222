"""Measure how much writing the files slows down `ganlab.sample`: its pictures a second beside the bare generator's.

    python benchmarks/sampling.py [checkpoint=zoo:emoji] [count=1024] [batch=64] [format=png] [rounds=10]
        [folder=FOLDER] [out=FILE.json]

Both draw the same `count` pictures of the same captions in one process and take turns. The bare loop passes batches of
latents to the averaged generator and keeps nothing. The other one does all that `ganlab.sample` does after the model is
loaded: latents by seed, pictures, files, sheets and the manifest. The files are written below `folder`, by default that
of temporary files. The first round is not counted. It prints

- the speed of `ganlab.sample` relative to the bare loop: the median, the least and the greatest of the rounds, by the
  clock, and by the processor's time of the thread that draws, which is the speed if a core is free for the writing;
- the processor's milliseconds for a picture (medians): of the bare loop, the thread that draws, the threads that write.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from contest import settings, tell

from ganlab.core.portable import open_run
from ganlab.data.batch import take
from ganlab.sampling.drawing import latents
from ganlab.sampling.gallery import Drawing, Request, draw_gallery, requested


class Taken(NamedTuple):
    """Seconds: of the clock, of this thread's processor time, and of the other threads'."""

    clock: float
    drawing: float
    writing: float


def main() -> None:
    said = {"checkpoint": "zoo:emoji", "count": 1024, "batch": 64, "format": "png", "rounds": 10}
    said |= {"folder": tempfile.gettempdir(), "out": ""}
    said |= settings()
    module, _ = open_run(said["checkpoint"], [], needs_data=False)
    request = requested(module, {}, 1, 0)
    request = requested(module, {}, -(-said["count"] // len(request.seeds)), 0).part(slice(said["count"]))
    how = Drawing(said["format"], said["batch"])
    bare, ganlab = [], []
    for _ in range(said["rounds"] + 1):
        bare.append(taken(lambda: generated(module, request, said["batch"])))
        with tempfile.TemporaryDirectory(dir=said["folder"]) as folder:
            ganlab.append(taken(lambda: drawn(module, request, Path(folder) / "drawn", how)))
    told = {name: said[name] for name in ("checkpoint", "count", "batch", "format", "rounds", "folder")}
    tell(compared(bare[1:], ganlab[1:], said["count"]), said["out"], threads=torch.get_num_threads(), **told)


def taken(play: Callable[[], None]) -> Taken:
    def now() -> tuple[float, float, float]:
        return time.perf_counter(), time.thread_time(), time.process_time()

    before = now()
    play()
    clock, own, all_threads = (after - start for after, start in zip(now(), before, strict=True))
    return Taken(clock, own, all_threads - own)


@torch.no_grad()
def generated(module: Any, request: Request, size: int) -> None:
    """Pass random latents and the request's conditions to the averaged generator in batches."""
    for start in range(0, len(request.seeds), size):
        condition = take(request.condition, slice(start, start + size))
        module.sample(module.draw_latent(min(size, len(request.seeds) - start)), condition)


def drawn(module: Any, request: Request, folder: Path, how: Drawing) -> None:
    """Draw the request into a folder as `ganlab.sample` does."""
    draw_gallery(module, request, latents(module, request.seeds), folder, how)


def compared(bare: list[Taken], ganlab: list[Taken], count: int) -> dict[str, Any]:
    """Return the relative speeds, and the processor's milliseconds for a picture."""

    def speed(name: str) -> list[float]:
        ratios = [getattr(one, name) / getattr(own, name) for one, own in zip(bare, ganlab, strict=True)]
        return [round(value, 3) for value in (statistics.median(ratios), min(ratios), max(ratios))]

    def each(seconds: list[float]) -> float:
        return round(1000 * statistics.median(seconds) / count, 3)

    return {
        "speed": {"clock": speed("clock"), "drawing thread": speed("drawing")},
        "milliseconds": {
            "bare": each([one.drawing for one in bare]),
            "drawing": each([one.drawing for one in ganlab]),
            "writing": each([one.writing for one in ganlab]),
        },
    }


if __name__ == "__main__":
    main()
