"""Accumulation of an extractor's features in bounded memory.

It keeps sums over all pictures (mean, covariance, Inception score) and the features of at most `most` pictures. These
are chosen at random by place before any picture arrives. So the batch size, the order and the number of processes
change nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ganlab.metrics.moments import Gaussian, Moments, precise
from ganlab.processes import gather_values

MOST = 10_000  # features kept: 80 MB of Inception's


def rows_of(labels: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """Return the rows of each label, labels in order of appearance."""
    rows: dict[Hashable, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(label, []).append(row)
    return rows


class SplitScores:
    """The sums for an Inception score, for each of `splits` parts: the number of pictures, of p, and of p log p.

    order: (total,) a permutation; picture `order[i]` belongs to the part of place i. Drawn by `seed` if left out.
    """

    def __init__(self, classes: int, total: int, splits: int = 10, seed: int = 0, order: Tensor | None = None) -> None:
        order = torch.randperm(total, generator=torch.Generator().manual_seed(seed)) if order is None else order
        ends = torch.tensor([(i + 1) * total // splits for i in range(splits)])
        self.part = torch.empty(total, dtype=torch.int64)
        self.part[order] = torch.bucketize(torch.arange(total), ends, right=True)
        self.count = torch.zeros(splits, dtype=torch.float64)
        self.p = torch.zeros(splits, classes, dtype=torch.float64)
        self.entropy = torch.zeros(splits, dtype=torch.float64)

    def add(self, logits: Tensor, places: Tensor | slice) -> None:
        """Add logits (N, K) of the pictures at those places."""
        log_p = precise(logits.cpu()).log_softmax(1)
        part, p = self.part[places], log_p.exp()
        self.count += part.bincount(minlength=len(self.count))
        self.p.index_add_(0, part, p)
        self.entropy.index_add_(0, part, (p * log_p).sum(1))

    def merge(self, others: Sequence[SplitScores]) -> None:
        """Replace the sums by those of all `others`, of which this is one."""
        self.count, self.p, self.entropy = (
            torch.stack([getattr(one, name) for one in others]).sum(0) for name in ("count", "p", "entropy")
        )

    def scores(self) -> Tensor:
        """Return exp E KL(p(y|x) || p(y)) of each part: (splits,). Raise `ValueError` if a part has no picture."""
        if not self.count.all():
            raise ValueError(f"the Inception score needs at least {len(self.count)} pictures")
        q = self.p / self.count[:, None]
        return (self.entropy / self.count - torch.xlogy(q, q).sum(1)).exp()


@dataclass(frozen=True)
class Sample:
    """One kind's pictures as an extractor saw them: sums over `count`, `features` (M, D) and `labels` of those kept."""

    gaussian: Gaussian
    features: Tensor
    labels: list[Hashable] = field(default_factory=list)
    scores: SplitScores | None = None

    @property
    def count(self) -> int:
        """Return the number of pictures in the sums."""
        return self.gaussian.count

    @property
    def whole(self) -> bool:
        """Return whether all features were kept."""
        return 0 < len(self.features) == self.count

    @classmethod
    def of(cls, features: Tensor, labels: Sequence[Hashable] = ()) -> Sample:
        """Return the sample of features (N, D), all of which are kept."""
        return cls(Moments.of(features).gaussian(), features, list(labels))


class Gathering:
    """Accumulates features batch by batch. total: the largest number of pictures, in all processes together."""

    def __init__(self, dim: int, total: int, classes: int = 0, most: int = MOST, seed: int = 0) -> None:
        kept = np.random.default_rng(seed).permutation(total)[:most]
        self.kept = torch.zeros(total, dtype=torch.bool)
        self.kept[torch.from_numpy(kept)] = True
        self.came = torch.zeros(total, dtype=torch.bool)
        self.moments = Moments.empty(dim)
        self.scores = SplitScores(classes, total, seed=seed) if classes else None
        self.features: list[Tensor] = [torch.zeros(0, dim)]
        self.places: list[Tensor] = [torch.zeros(0, dtype=torch.int64)]
        self.labels: list[Hashable] = []

    @property
    def seen(self) -> int:
        """Return the number of pictures so far."""
        return int(self.came.sum())

    def add(
        self, features: Tensor, logits: Tensor, labels: Sequence[Hashable] = (), places: Tensor | None = None
    ) -> None:
        """Add features (N, D), logits (N, K) and labels (N, or none) of new pictures; by default the next N."""
        places = self.seen + torch.arange(len(features)) if places is None else places
        self.came[places] = True
        self.moments = self.moments + Moments.of(features.cpu())
        chosen = self.kept[places]
        self.features.append(features.cpu()[chosen])
        self.places.append(places[chosen])
        self.labels += [label for label, keep in zip(labels, chosen.tolist(), strict=False) if keep]
        if self.scores is not None:
            self.scores.add(logits, places)

    def synchronize(self) -> None:
        """Exchange what all processes have gathered. Every process must call this.

        Raise `ValueError` if two processes took a picture of the same place, which would count twice.
        """
        parts = gather_values(self)
        if int(torch.stack([part.came for part in parts]).sum(0).max()) > 1:
            raise ValueError("two processes took the same sample: give process r of w the places r, r + w, r + 2w, ...")
        self.came = torch.stack([part.came for part in parts]).any(0)
        self.moments = sum((part.moments for part in parts[1:]), parts[0].moments)
        self.features, self.places = (
            [one for part in parts for one in getattr(part, n)] for n in ("features", "places")
        )
        self.labels = [label for part in parts for label in part.labels]
        if self.scores is not None:
            self.scores.merge([part.scores for part in parts if part.scores is not None])

    def sample(self) -> Sample:
        """Return the sample, in the order of places. Raise `ValueError` for fewer than two pictures."""
        order = torch.cat(self.places).argsort()
        labels = [self.labels[row] for row in order.tolist()] if self.labels else []
        return Sample(self.moments.gaussian(), torch.cat(self.features)[order], labels, self.scores)
