"""FID from pictures to number: ganlab against torch-fidelity and torchmetrics, interleaved, as ratios.

    python benchmarks/fid.py [images=2000] [rounds=3] [threads=2] [weights=FILE] [out=FILE.json]

All use the same two sets of 32-pixel pictures in memory, the same weights (Inception's own from torch's hub cache, or
random ones) and TensorFlow 1's resizing, on the CPU. The goal is half of the others' time. The steps after the features
(means, covariances and the trace of the root) are measured separately in `benchmarks/frechet.py`.

ganlab runs twice. float32 gives the others' number to rounding. bfloat16 rounds weights and activations to 8 bits but
accumulates in float32, and pools and measures in float64. Its rounded weights are a slightly different network. The
last figures give the change of the FID.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from contest import contest, settings, tell
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
    """A data set of pictures in the form that torch-fidelity needs."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Tensor:
        return self.images[row]


def pictures(count: int, seed: int, contrast: float) -> Tensor:
    """Return blotches with a little noise, uint8 (count, 3, 32, 32)."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 4, 4, generator=random) * contrast + 0.7 * seed
    smooth = nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic") * 60 + 128
    return (smooth + 8 * torch.randn(count, 3, SIDE, SIDE, generator=random)).clamp(0, 255).to(torch.uint8)


Way = Callable[[Tensor, Tensor, Path], float]


def ganlab(precision: str) -> Way:
    """Return FID as `ganlab.evaluate` computes it, spread included."""

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


WAYS: dict[str, Way] = {
    "ganlab float32": ganlab("float32"),
    "torch-fidelity": torch_fidelity,
    "ganlab bfloat16": ganlab("bfloat16"),
    "torchmetrics": torchmetrics,
}


def main(images: int = 2000, rounds: int = 3, threads: int = 2, weights: str = "", out: str = "") -> None:
    torch.set_num_threads(threads)
    real, fake = pictures(images, 0, 1.0), pictures(images, 1, 0.5)
    with tempfile.TemporaryDirectory() as folder:
        given = Path(weights) if weights else INCEPTION.path
        file = given if given.is_file() else save(Path(folder) / "random.pth")
        contestants = {name: partial(way, real, fake, file) for name, way in WAYS.items()}
        found = contest(contestants, rounds, "torch-fidelity")
    tell(found, out, images=images, rounds=rounds, threads=threads, weights=file.name)


if __name__ == "__main__":
    main(**settings())
