"""What is kept of pictures that an extractor has seen, so that memory does not grow with their number.

Sums over all of them (mean, covariance, Inception score) and the features of at most `most`, chosen at random by
position before any is seen: neither the batch size nor who is kept depends on what comes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ganlab.metrics.moments import Gaussian, Moments, precise

MOST = 10_000  # features kept: 80 MB of Inception's


class SplitScores:
    """The sums of which an Inception score is made, for each of `splits` parts: how many, of p, and of p log p.

    Which part a picture belongs to is its place in a permutation drawn by `seed`, as if all had been shuffled.
    """

    def __init__(self, classes: int, total: int, splits: int = 10, seed: int = 0) -> None:
        order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
        ends = torch.tensor([(i + 1) * total // splits for i in range(splits)])
        self.part = torch.empty(total, dtype=torch.int64)
        self.part[order] = torch.bucketize(torch.arange(total), ends, right=True)
        self.count = torch.zeros(splits, dtype=torch.float64)
        self.p = torch.zeros(splits, classes, dtype=torch.float64)
        self.entropy = torch.zeros(splits, dtype=torch.float64)

    def add(self, logits: Tensor, positions: slice) -> None:
        """Logits (N, K) of the pictures at those positions."""
        log_p = precise(logits.cpu()).log_softmax(1)
        part, p = self.part[positions], log_p.exp()
        self.count += part.bincount(minlength=len(self.count))
        self.p.index_add_(0, part, p)
        self.entropy.index_add_(0, part, (p * log_p).sum(1))

    def scores(self) -> Tensor:
        """exp E KL(p(y|x) || p(y)) of every part: (splits,). `ValueError` where a part has no picture."""
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
        return self.gaussian.count

    @property
    def whole(self) -> bool:
        """Whether all features are there."""
        return 0 < len(self.features) == self.count

    @classmethod
    def of(cls, features: Tensor, labels: Sequence[Hashable] = ()) -> Sample:
        """Of features (N, D) that are all there."""
        return cls(Moments.of(features).gaussian(), features, list(labels))


class Gathering:
    """Takes features batch by batch; `total` is how many pictures there will be at most."""

    def __init__(self, dim: int, total: int, classes: int = 0, most: int = MOST, seed: int = 0) -> None:
        kept = np.random.default_rng(seed).permutation(total)[:most]
        self.kept = torch.zeros(total, dtype=torch.bool)
        self.kept[torch.from_numpy(kept)] = True
        self.moments = Moments.empty(dim)
        self.scores = SplitScores(classes, total, seed=seed) if classes else None
        self.features: list[Tensor] = [torch.zeros(0, dim)]
        self.labels: list[Hashable] = []
        self.seen = 0

    def add(self, features: Tensor, logits: Tensor, labels: Sequence[Hashable] = ()) -> None:
        """Features (N, D), logits (N, K) and labels (N or none) of the next N pictures."""
        positions = slice(self.seen, self.seen + len(features))
        self.seen += len(features)
        self.moments = self.moments + Moments.of(features.cpu())
        chosen = self.kept[positions]
        self.features.append(features.cpu()[chosen])
        self.labels += [label for label, keep in zip(labels, chosen.tolist(), strict=False) if keep]
        if self.scores is not None:
            self.scores.add(logits, positions)

    def sample(self) -> Sample:
        """All that was taken. `ValueError` for fewer than two pictures."""
        return Sample(self.moments.gaussian(), torch.cat(self.features), self.labels, self.scores)
