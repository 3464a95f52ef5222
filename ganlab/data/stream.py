"""An endless stream of training batches that can start at any iteration.

Batch number i is a pure function of (seed, i, rank, world size). So resuming at iteration i needs no state, and the
number of workers changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from ganlab.data.batch import Batch
from ganlab.data.pictures import Pictures


@lru_cache(maxsize=2)
def _order(size: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(size)


def rows_at(position: int, count: int, size: int, seed: int) -> np.ndarray:
    """Return the pictures at `position` .. `position + count` of an endless run of shuffled passes over `size`."""
    parts = []
    while count > 0:
        epoch, place = divmod(position, size)
        part = _order(size, seed, epoch)[place : place + count]
        parts.append(part)
        position, count = position + len(part), count - len(part)
    return np.concatenate(parts)


@dataclass(frozen=True)
class Stream(IterableDataset):
    """The batches `start`, `start + 1`, ... of this process, without end."""

    pictures: Pictures
    batch_size: int
    seed: int = 0
    start: int = 0
    rank: int = 0
    world_size: int = 1

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        iteration = self.start + first
        while True:
            yield self.at(iteration)
            iteration += step

    def at(self, iteration: int) -> Batch:
        """Return batch number `iteration` of this process."""
        position = (iteration * self.world_size + self.rank) * self.batch_size
        rows = rows_at(position, self.batch_size, len(self.pictures), self.seed)
        return self.pictures.batch(rows, np.random.default_rng([self.seed, iteration, self.rank]))
