"""The same numbers gathered batch by batch, on any number of processes: thin `torchmetrics.Metric`s.

They take features, not pictures: one pass of an extractor feeds all of them. `protocol` (`extractor.protocol`, the
split, the seed) is stamped on every result together with the number of samples of each kind.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganlab.metrics.fidelity import inception_score, kid, manifold
from ganlab.metrics.moments import Gaussian, Moments, precise
from ganlab.metrics.result import Result, stamped


class FrechetDistance(Metric):
    """Fréchet distance of everything seen. Keeps sums only: exact over processes, memory of two (D, D) matrices."""

    full_state_update = False
    real_count: Tensor
    fake_count: Tensor

    def __init__(self, dim: int, protocol: Mapping[str, Any] | None = None, reference: Gaussian | None = None) -> None:
        super().__init__()
        self.protocol = dict(protocol or {})
        self.reference = reference
        for kind in ("real", "fake"):
            empty = Moments.empty(dim)
            for part, value in (("count", empty.count), ("total", empty.total), ("outer", empty.outer)):
                self.add_state(f"{kind}_{part}", value, dist_reduce_fx="sum")

    def update(self, features: Tensor, real: bool) -> None:
        """Features (N, D) of real or of generated pictures."""
        kind = "real" if real else "fake"
        total = self._moments(kind) + Moments.of(features)
        for part in ("count", "total", "outer"):
            setattr(self, f"{kind}_{part}", getattr(total, part))

    def compute(self) -> Result:
        real = self.reference or self._moments("real").gaussian()
        fake = self._moments("fake").gaussian()
        protocol = {**self.protocol, "reals": real.count, "fakes": fake.count}
        return Result(real.distance(fake), None, protocol)

    def _moments(self, kind: str) -> Moments:
        return Moments(*(getattr(self, f"{kind}_{part}") for part in ("count", "total", "outer")))


class _Kept(Metric):
    """Keeps the features of both kinds: for numbers that compare samples with one another."""

    full_state_update = False
    real: list[Tensor]
    fake: list[Tensor]

    def __init__(self, protocol: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.protocol = dict(protocol or {})
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("fake", [], dist_reduce_fx="cat")

    def update(self, features: Tensor, real: bool) -> None:
        """Features (N, D) of real or of generated pictures."""
        (self.real if real else self.fake).append(features)

    def compute(self) -> Any:
        real, fake = _ordered(dim_zero_cat(self.real)), _ordered(dim_zero_cat(self.fake))
        return self.measure(real, fake, {**self.protocol, "reals": len(real), "fakes": len(fake)})

    @abstractmethod
    def measure(self, real: Tensor, fake: Tensor, protocol: dict[str, Any]) -> Any:
        """The result, from all features of all processes in an order that does not depend on how they came."""


class KernelDistance(_Kept):
    """KID over random subsets; with fewer samples than `subset_size`, subsets of half of what there is."""

    def __init__(
        self, subsets: int = 100, subset_size: int = 1000, seed: int = 0, protocol: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(protocol)
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed

    def measure(self, real: Tensor, fake: Tensor, protocol: dict[str, Any]) -> Result:
        fewest = min(len(real), len(fake))
        size = self.subset_size if fewest >= self.subset_size else max(2, fewest // 2)
        mean, deviation = kid(real, fake, self.subsets, size, torch.Generator().manual_seed(self.seed))
        return Result(mean, deviation, {**protocol, "subsets": self.subsets, "subset_size": size, "seed": self.seed})


class PrecisionRecall(_Kept):
    """Precision, recall, density and coverage as a dictionary of results."""

    def __init__(self, k: int = 5, protocol: Mapping[str, Any] | None = None) -> None:
        super().__init__(protocol)
        self.k = k

    def measure(self, real: Tensor, fake: Tensor, protocol: dict[str, Any]) -> dict[str, Result]:
        return stamped(manifold(real, fake, self.k)._asdict(), {**protocol, "k": self.k})


class InceptionScore(Metric):
    """Inception score of generated pictures, from their class logits (N, K)."""

    full_state_update = False
    logits: list[Tensor]

    def __init__(self, splits: int = 10, seed: int = 0, protocol: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.splits, self.seed = splits, seed
        self.protocol = dict(protocol or {})
        self.add_state("logits", [], dist_reduce_fx="cat")

    def update(self, logits: Tensor) -> None:
        self.logits.append(logits)

    def compute(self) -> Result:
        logits = _ordered(dim_zero_cat(self.logits))
        mean, deviation = inception_score(logits, self.splits, torch.Generator().manual_seed(self.seed))
        protocol = {**self.protocol, "fakes": len(logits), "splits": self.splits, "seed": self.seed}
        return Result(mean, deviation, protocol)


def _ordered(rows: Tensor) -> Tensor:
    """Rows in an order of their own, by their sum, so that seeded subsets do not depend on how they were gathered."""
    return rows[precise(rows).sum(1).sort(stable=True).indices]
