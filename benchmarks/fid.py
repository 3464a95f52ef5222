"""FID from pictures to number: ganlab against torch-fidelity and torchmetrics, interleaved, as ratios.

    python benchmarks/fid.py [images=2000] [rounds=3] [threads=2] [weights=FILE] [out=FILE.json]

Two sets of 32-pixel pictures in memory, the same weights for all (Inception's own from torch's hub cache, or random
ones), TensorFlow 1's resizing for all, on the processor. Every round runs every contestant once, in an order that
moves on by one, and each figure is the median over rounds. What comes after the features, means, covariances and the
trace of the root, is measured by itself in `benchmarks/frechet.py`.

ganlab runs twice. float32 gives the others' number to rounding. bfloat16 rounds weights and activations to 8 bits but
adds up in float32, and pools and measures in float64: rounding errors of a feature's many addends are independent and
average out, so that the distance moves by far less than a feature. By how much is measured here, not promised: the
table's last column is the relative difference from torch-fidelity's FID.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from random_inception import save
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics
from torchmetrics.image.fid import FrechetInceptionDistance

from ganlab.metrics.frechet import frechet
from ganlab.metrics.gathering import Gathering, Sample
from ganlab.metrics.inception import INCEPTION, Inception

BATCH = 64  # torch-fidelity's default, also given to torchmetrics; ganlab's Inception takes 32 at once
SIDE = 32


class Pictures(Dataset):
    """As torch-fidelity wants them."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Tensor:
        return self.images[row]


def pictures(count: int, seed: int, contrast: float) -> Tensor:
    """Blotches with a little noise, uint8 (count, 3, 32, 32)."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 4, 4, generator=random) * contrast + 0.7 * seed
    smooth = nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic") * 60 + 128
    return (smooth + 8 * torch.randn(count, 3, SIDE, SIDE, generator=random)).clamp(0, 255).to(torch.uint8)


Contestant = Callable[[Tensor, Tensor, Path], float]


def ganlab(precision: str) -> Contestant:
    """As `ganlab.evaluate` does it, spread included."""

    def run(real: Tensor, fake: Tensor, weights: Path) -> float:
        extractor = Inception(weights, "tf1", precision)
        return frechet(*(gathered(extractor, images) for images in (real, fake))).value

    return run


def gathered(extractor: Inception, images: Tensor) -> Sample:
    gathering = Gathering(extractor.dim, len(images), extractor.classes)
    for part in torch.split(images, extractor.batch):
        gathering.add(*extractor.both(part))
    return gathering.sample()


def torch_fidelity(real: Tensor, fake: Tensor, weights: Path) -> float:
    found = calculate_metrics(
        input1=Pictures(fake), input2=Pictures(real), cuda=False, fid=True, verbose=False, batch_size=BATCH,
        feature_extractor="inception-v3-compat", feature_extractor_weights_path=str(weights), cache=False,
    )  # fmt: skip
    return float(found["frechet_inception_distance"])


def torchmetrics(real: Tensor, fake: Tensor, weights: Path) -> float:
    metric = FrechetInceptionDistance(feature_extractor_weights_path=str(weights), antialias=False)
    for images, is_real in ((real, True), (fake, False)):
        for part in torch.split(images, BATCH):
            metric.update(part, real=is_real)
    return float(metric.compute())


CONTESTANTS: dict[str, Contestant] = {
    "ganlab float32": ganlab("float32"),
    "torch-fidelity": torch_fidelity,
    "ganlab bfloat16": ganlab("bfloat16"),
    "torchmetrics": torchmetrics,
}


def timed(what: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = what()
    return time.perf_counter() - started, found


def end_to_end(real: Tensor, fake: Tensor, weights: Path, rounds: int) -> dict[str, tuple[list[float], float]]:
    """For each contestant its seconds in every round, and its FID."""
    names, seconds, values = list(CONTESTANTS), {name: [] for name in CONTESTANTS}, {}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            took, values[name] = timed(lambda name=name: CONTESTANTS[name](real, fake, weights))
            seconds[name].append(took)
            print(f"round {turn + 1}  {name:<16} {took:8.2f} s  FID {values[name]:.6f}", file=sys.stderr, flush=True)
    return {name: (seconds[name], values[name]) for name in names}


def report(whole: dict[str, tuple[list[float], float]]) -> dict[str, Any]:
    """Medians, and ganlab's shares of the others': at most a half is the goal."""
    middle = {name: statistics.median(seconds) for name, (seconds, _) in whole.items()}
    truth = whole["torch-fidelity"][1]
    return {
        "seconds": middle,
        "ratios": {
            f"{ours} / {theirs}": middle[ours] / middle[theirs]
            for ours in ("ganlab float32", "ganlab bfloat16")
            for theirs in ("torch-fidelity", "torchmetrics")
        },
        "fid": {name: value for name, (_, value) in whole.items()},
        "relative_error": {name: abs(value / truth - 1) for name, (_, value) in whole.items()},
    }


def main(images: int = 2000, rounds: int = 3, threads: int = 2, weights: str = "", out: str = "") -> None:
    torch.set_num_threads(threads)
    real, fake = pictures(images, 0, 1.0), pictures(images, 1, 0.5)
    with tempfile.TemporaryDirectory() as folder:
        given = Path(weights) if weights else INCEPTION.path
        file = given if given.is_file() else save(Path(folder) / "random.pth")
        found = report(end_to_end(real, fake, file, rounds))
    found |= {"images": images, "rounds": rounds, "threads": threads, "weights": file.name, "torch": torch.__version__}
    print(json.dumps(found, indent=2))
    if out:
        Path(out).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    words = dict(word.split("=", 1) for word in sys.argv[1:])
    main(**{name: int(text) if text.isdecimal() else text for name, text in words.items()})
