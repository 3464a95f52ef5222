"""Real data as a measure of generated samples: which indicators apply, fitted, and what real conditions look like.

Plain torch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ganlab.collapse.crowd import Crowd
from ganlab.collapse.indicators import (
    Covered,
    Draw,
    DroppedBins,
    DroppedLabels,
    Duplicates,
    Indicator,
    Recall,
    Spread,
    UnevenBins,
    Vendi,
    WithinConditions,
    WorstCondition,
)
from ganlab.collapse.labels import Labels, label_groups
from ganlab.collapse.share import Bins
from ganlab.metrics.conditional import mean_distance
from ganlab.metrics.diversity import Level

FEWEST = 200  # real samples: with fewer there is no healthy level to speak of
REFERENCE = 2_000  # real samples that recall asks about
DRAWS = 20  # real samples in a generator's place
BINS = 20  # of the real data
DUE = 10  # samples that a label must expect: with fewer, chance may leave it empty
EACH = 20  # samples of one condition, and the fewest real ones that say how varied it is

Remember = Callable[[str, Callable[[], list[float]]], list[float]]
"""(name, make) -> what make() returns, perhaps from before."""


def fresh(name: str, make: Callable[[], list[float]]) -> list[float]:
    """Remembers nothing."""
    return make()


@dataclass(frozen=True)
class Reals:
    """Features (L, D) of real samples, L at least `FEWEST`, and of those that share a condition, by condition (R, D).

    `told` has conditions of at least `EACH` real samples, no two of which are the same; it may be empty. `labels`: of
    each real sample its class or caption, empty if the data have none. The generator need not be told them.
    """

    features: Tensor
    told: Mapping[Hashable, Tensor]
    labels: Sequence[str] = ()

    def size(self, count: int) -> int:
        """How many samples are looked at together: `count`, but three quarters of the real ones at most."""
        return min(count, 3 * len(self.features) // 4)

    def groups(self, size: int) -> list[str]:
        """Return the group of each label: `EACH` reals or more, of which `size` samples have `DUE` or more."""
        return label_groups(self.labels, max(EACH, -(-DUE * len(self.labels) // size)))

    @cached_property
    def distances(self) -> dict[Hashable, float]:
        """Between two real samples of each condition, on average."""
        return {condition: mean_distance(rows) for condition, rows in self.told.items()}

    def draw(self, size: int, generator: torch.Generator) -> Draw:
        """Real samples in a generator's place, each at most once."""
        order = torch.randperm(len(self.features), generator=generator)
        told = [rows[torch.randperm(len(rows), generator=generator)[:EACH]] for rows in self.told.values()]
        conditions = [condition for condition in self.told for _ in range(EACH)]
        sample = Crowd(self.features[order[:size]], torch.cat(told) if told else torch.empty(0, 0), conditions)
        return Draw(sample, self.features[order[size:][:REFERENCE]], size / len(order))


def indicators(reals: Reals, size: int, seed: int, remember: Remember = fresh) -> list[Indicator]:
    """Those that apply to these data, each with its level on real samples of `size`."""
    generator = torch.Generator().manual_seed(seed)
    first, bins = reals.draw(size, generator), Bins.of(reals.features, BINS, generator)
    groups = reals.groups(size)
    found: list[Indicator] = [
        UnevenBins(bins, generator),
        DroppedBins(bins, generator),
        *([DroppedLabels(Labels.of(reals.features, groups), generator)] if len(set(groups)) > 1 else []),
        Recall(reals.features[torch.randperm(len(reals.features), generator=generator)[:REFERENCE]], first.sample),
        Covered(reals.features, generator),
        Vendi(reals.features),
        Spread(),
        Duplicates(first.sample),
        *([WithinConditions(reals.distances), WorstCondition(reals.distances)] if reals.told else []),
    ]
    names = "-".join(one.name for one in found)
    levels = remember(names, lambda: _levels(found, [reals.draw(size, generator) for _ in range(DRAWS)]))
    for indicator, mean, deviation in zip(found, levels[::2], levels[1::2], strict=True):
        indicator.level = Level(mean, deviation)
    return [indicator for indicator in found if indicator.applies]


def _levels(found: Sequence[Indicator], draws: Sequence[Draw]) -> list[float]:
    """Mean and deviation of each, one after the other."""
    levels = [indicator.healthy(draws) for indicator in found]
    return [number for level in levels for number in (level.mean, level.deviation)]
