"""An endless stream of training batches that can start at any iteration.

Batch number i is a pure function of (seed, i, rank, world size). So resuming at iteration i needs no state, and the
number of workers changes nothing. A run that goes on with another number of processes, or another batch size, says how
many pictures were seen before: it goes on in the middle of the pass, without a gap and without a repetition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from ganlab.data.batch import Batch
from ganlab.data.pictures import Pictures


@dataclass(frozen=True)
class Stream(IterableDataset):
    """The batches `start`, `start + 1`, ... of this process, without end.

    `seen`: the number of pictures that all processes drew before `start`. By default `start` batches of this size each.
    """

    pictures: Pictures
    batch_size: int
    seed: int = 0
    start: int = 0
    rank: int = 0
    world_size: int = 1
    seen: int | None = None

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        iteration = self.start + first
        while True:
            yield self.at(iteration)
            iteration += step

    def at(self, iteration: int) -> Batch:
        """Return batch number `iteration` of this process."""
        seen = self.start * self.world_size * self.batch_size if self.seen is None else self.seen
        position = seen + ((iteration - self.start) * self.world_size + self.rank) * self.batch_size
        rows = self.pictures.rows_at(position, self.batch_size, self.seed)
        if not self.pictures.needs_random:
            return self.pictures.batch(rows)
        return self.pictures.batch(rows, np.random.default_rng([self.seed, iteration, self.rank]))
