"""The Fréchet distance given the features: ganlab against torch-fidelity and torchmetrics, interleaved, as ratios.

    python benchmarks/frechet.py [count=2000] [dim=2048] [decay=1] [rounds=3] [threads=2] [out=FILE.json]

It measures means, covariances and the trace of the root. The network before them is in `benchmarks/fid.py`. Features
are normal. Their covariance's eigenvalues fall as i^-decay in a random basis, another for each set. The goal is a
fifth of the others' time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from contest import contest, settings, tell
from torch import Tensor, nn
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance

from ganlab.metrics.frechet import frechet
from ganlab.metrics.gathering import Sample
from ganlab.metrics.moments import frechet_distance_of_sets

BATCH = 64  # torchmetrics accumulates its covariances while it reads pictures; that part is counted here too


class Through(nn.Module):
    """A network that returns the features that it gets as pictures."""

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


WAYS: dict[str, Callable[[Tensor, Tensor], float]] = {
    "ganlab": frechet_distance_of_sets,
    "torch-fidelity": torch_fidelity,
    "ganlab with spread": lambda real, fake: frechet(Sample.of(real), Sample.of(fake)).value,
    "torchmetrics": torchmetrics,
}


def features(count: int, dim: int, decay: float, seed: int) -> Tensor:
    """Return random features (count, dim), float32."""
    random = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(dim, dim, generator=random)).Q
    scales = torch.arange(1, dim + 1).pow(-decay / 2)
    return torch.randn(count, dim, generator=random) * scales @ basis.T


def main(count: int = 2000, dim: int = 2048, decay: int = 1, rounds: int = 3, threads: int = 2, out: str = "") -> None:
    torch.set_num_threads(threads)
    real, fake = (features(count, dim, decay, seed) for seed in (0, 1))
    contestants = {name: partial(way, real, fake) for name, way in WAYS.items()}
    found = contest(contestants, rounds, "torch-fidelity")
    tell(found, out, count=count, dim=dim, decay=decay, rounds=rounds, threads=threads)


if __name__ == "__main__":
    main(**settings())
