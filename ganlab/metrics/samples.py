"""Batches of samples on their way to metrics, and values that are kept of each sample."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.processes import gather_values


@dataclass(frozen=True)
class Samples:
    """One batch of generated samples.

    `images`: uint8 (N, C, H, W), or float points (N, D). `places`: (N,) int64, the place of each among all samples.
    `labels`: the class, key or caption of each; empty if unknown.
    """

    images: Tensor
    places: Tensor
    labels: Sequence[Hashable] = ()

    def part(self, chosen: Tensor) -> Samples:
        """Return the samples that a mask (N,) chooses."""
        labels = [label for label, keep in zip(self.labels, chosen.tolist(), strict=False) if keep]
        return Samples(self.images[chosen], self.places[chosen], labels)


class Rows:
    """Values of samples by place. They depend on neither the order, nor the batches, nor the processes they came in."""

    def __init__(self) -> None:
        self._places: list[Tensor] = []
        self._values: list[Tensor] = []

    def add(self, places: Tensor, values: Tensor) -> None:
        """Keep the values (N, ...) of the samples at the places (N,)."""
        self._places.append(places)
        self._values.append(values.cpu())

    def synchronize(self) -> None:
        """Exchange the values of all processes: each then has all. Every process must call this."""
        parts = gather_values((self._places, self._values))
        self._places, self._values = ([one for part in parts for one in part[i]] for i in range(2))

    @property
    def places(self) -> Tensor:
        """Return the places (N,) that came, each once, in order."""
        return self._order()[0]

    @property
    def values(self) -> Tensor:
        """Return the values (N, ...) in the order of their places."""
        return torch.cat(self._values)[self._order()[1]]

    def _order(self) -> tuple[Tensor, Tensor]:
        """Return each place once, in order, and the row where its values are."""
        places, order = torch.cat(self._places).sort(stable=True)
        first = torch.cat([torch.ones(1, dtype=torch.bool), places.diff() > 0])
        return places[first], order[first]
