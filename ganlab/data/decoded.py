"""Sources whose pictures are decoded each time that they are read. Nothing but names or places is kept in memory."""

from __future__ import annotations

import os
import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
from torch.utils.data import get_worker_info

from ganlab.data.decode import Encoded, Form, decode
from ganlab.data.files import THREADS, fault
from ganlab.data.source import Source, UnreadableError
from ganlab.data.walk import printable


class Decoded(Source):
    """N pictures that are decoded when they are read: by threads, or in a data worker by the worker alone. Abstract."""

    def __init__(self, count: int, form: Form) -> None:
        self.form = form
        self.shape = (count, *form.shape)

    @abstractmethod
    def encoded(self, row: int) -> Encoded:
        """Return the file of the picture in a row, or its bytes. It may raise any error."""

    @abstractmethod
    def name(self, row: int) -> str:
        """Return the name of the picture in a row, for messages."""

    def get(self, rows: np.ndarray) -> np.ndarray:
        """Return the pictures in `rows`, decoded, as `Source.get` does."""
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        reasons: dict[int, str] = {}

        def one(place: int) -> None:
            row = int(rows[place])
            try:
                images[place] = decode(self.encoded(row), self.form)
            except Exception as error:  # a broken file makes Pillow's plug-ins raise nearly anything
                reasons[row] = f"{printable(self.name(row))} ({fault(error)})"

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")  # the user need not know Pillow's doubts
            _for_each(one, len(rows))
        if reasons:
            raise UnreadableError(reasons)
        return images


def _for_each(work: Callable[[int], None], count: int) -> None:
    """Call `work` for 0 .. count - 1, in as many threads as there are cores."""
    threads = 1 if get_worker_info() else min(os.cpu_count() or 1, THREADS, count)

    def share(first: int) -> None:
        for place in range(first, count, threads):
            work(place)

    if threads > 1:
        list(_pool(os.getpid()).map(share, range(threads)))
    else:
        share(0)


@lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return this process's threads. A forked process does not have those of its parent."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="decoding")


class Files(Decoded):
    """The picture files `names`, relative to the folder `root`."""

    def __init__(self, root: Path, names: Sequence[str], form: Form) -> None:
        super().__init__(len(names), form)
        self.root, self.names = root, names

    def encoded(self, row: int) -> Path:
        """Return the file's path."""
        return self.root / self.names[row]

    def name(self, row: int) -> str:
        """Return the file's name."""
        return self.names[row]
