"""The Fréchet distance given the features: ganlab against torch-fidelity and torchmetrics, interleaved, as ratios.

    python benchmarks/frechet.py [count=2000] [dim=2048] [decay=1] [rounds=3] [threads=2] [out=FILE.json]

Means, covariances, trace of the root; what comes before, the network, is in `benchmarks/fid.py`. Features are normal,
their covariance's eigenvalues fall as i^-decay in a random basis, another for each set. Every round runs every
contestant once, in an order that moves on by one; figures are medians over rounds.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance

from ganlab.metrics.frechet import frechet
from ganlab.metrics.gathering import Sample
from ganlab.metrics.moments import frechet_distance_of_sets

BATCH = 64  # torchmetrics gathers its covariances while it looks at pictures; that part is counted here too


class Through(nn.Module):
    """Gives back the features that it is given as pictures."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def torchmetrics(real: Tensor, fake: Tensor) -> float:
    metric = FrechetInceptionDistance(feature=Through(real.shape[1]))
    for features, is_real in ((real, True), (fake, False)):
        for part in torch.split(features, BATCH):
            metric.update(part, real=is_real)
    return float(metric.compute())


def torch_fidelity(real: Tensor, fake: Tensor) -> float:
    found = fid_statistics_to_metric(*map(fid_features_to_statistics, (real, fake)), False)
    return float(found["frechet_inception_distance"])


CONTESTANTS: dict[str, Callable[[Tensor, Tensor], float]] = {
    "ganlab": frechet_distance_of_sets,
    "torch-fidelity": torch_fidelity,
    "ganlab with spread": lambda real, fake: frechet(Sample.of(real), Sample.of(fake)).value,
    "torchmetrics": torchmetrics,
}


def features(count: int, dim: int, decay: float, seed: int) -> Tensor:
    """(count, dim) float32."""
    random = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(dim, dim, generator=random)).Q
    scales = torch.arange(1, dim + 1).pow(-decay / 2)
    return torch.randn(count, dim, generator=random) * scales @ basis.T


def measure(real: Tensor, fake: Tensor, rounds: int) -> dict[str, Any]:
    """Medians, and ganlab's shares of the others': at most a fifth is the goal."""
    names = list(CONTESTANTS)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    values = {}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            started = time.perf_counter()
            values[name] = CONTESTANTS[name](real, fake)
            seconds[name].append(time.perf_counter() - started)
    middle = {name: statistics.median(taken) for name, taken in seconds.items()}
    ratios = {
        f"{ours} / {theirs}": middle[ours] / middle[theirs]
        for ours in ("ganlab", "ganlab with spread")
        for theirs in ("torch-fidelity", "torchmetrics")
    }
    error = {name: abs(value / values["torch-fidelity"] - 1) for name, value in values.items()}
    return {"seconds": middle, "ratios": ratios, "value": values, "relative_difference": error}


def main(count: int = 2000, dim: int = 2048, decay: int = 1, rounds: int = 3, threads: int = 2, out: str = "") -> None:
    torch.set_num_threads(threads)
    found = measure(features(count, dim, decay, 0), features(count, dim, decay, 1), rounds)
    found |= {"count": count, "dim": dim, "decay": decay, "rounds": rounds, "threads": threads}
    text = json.dumps(found | {"torch": torch.__version__}, indent=2)
    print(text)
    if out:
        Path(out).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    words = dict(word.split("=", 1) for word in sys.argv[1:])
    main(**{name: int(text) if text.isdecimal() else text for name, text in words.items()})
