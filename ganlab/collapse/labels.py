"""Label shares of samples: each sample counts for the label of its nearest real sample. Plain torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.collapse.crowd import nearest_real
from ganlab.collapse.share import Partition, frequencies, missing_bins

CHUNK = 500  # rows of the matrix of distances between reals held at once
FUNCTION_WORDS = {"a", "an", "and", "as", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with"}


def label_groups(labels: Sequence[str], fewest: int) -> list[str]:
    """Return the group of each label: the rarest of the label and its words that `fewest` samples share, else "".

    A class is a group of its own. Captions seldom repeat, so their groups are words: "face", "heart". Function words
    are no groups.

    >>> label_groups(["red heart", "blue heart", "red cat", "red cat", "sun"], 2)
    ['heart', 'heart', 'red cat', 'red cat', '']
    """
    candidates = [{label, *label.split()} - FUNCTION_WORDS for label in labels]
    count = Counter(name for names in candidates for name in names)
    common = [[name for name in names if count[name] >= fewest] for names in candidates]
    chosen = [min(names, key=lambda name: (count[name], -len(name), name), default="") for names in common]
    members = Counter(chosen)
    return [name if members[name] >= fewest else "" for name in chosen]


@dataclass(frozen=True)
class Labels(Partition):
    """Regions of the feature space in which the nearest of the reals (N, D) has the same group.

    `names`: of the K groups. `codes`: (N,) int64, the group of each real. `expected`: (K,) the shares that fresh real
    samples get, by leave-one-out: a group that the features do not show has no share to lose.
    """

    reals: Tensor
    codes: Tensor
    names: tuple[str, ...]
    expected: Tensor

    @classmethod
    def of(cls, reals: Tensor, groups: Sequence[str]) -> Labels:
        names = sorted(set(groups))
        codes = torch.tensor([names.index(group) for group in groups])
        return cls(reals, codes, tuple(names), _shares(codes[nearest_other(reals)], len(names)))

    def shares(self, points: Tensor) -> Tensor:
        return _shares(self.codes[nearest_real(points, self.reals)], len(self.names))

    def missing(self, points: Tensor) -> list[int]:
        """Return the named groups that next to none of the points (N, D) fall into, the largest first."""
        return [code for code in missing_bins(self.expected, self.shares(points)) if self.names[code]]


def _shares(codes: Tensor, count: int) -> Tensor:
    return frequencies(codes.bincount(minlength=count))


def nearest_other(points: Tensor) -> Tensor:
    """Return (N,) int64: the nearest other point of each of the points (N, D).

    >>> nearest_other(torch.tensor([[0.0], [1.0], [3.0]])).tolist()
    [1, 0, 1]
    """
    rows = torch.arange(len(points)).split(CHUNK)
    return torch.cat([_nearest_but(points, part) for part in rows])


def _nearest_but(points: Tensor, rows: Tensor) -> Tensor:
    distances = torch.cdist(points[rows].float(), points.float())
    distances[torch.arange(len(rows)), rows] = torch.inf
    return distances.argmin(1)
