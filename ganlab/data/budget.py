"""A bound on the amount of work that many threads have in progress at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """A number of units that threads share. A thread that asks for more than is left waits until others return theirs.

    >>> budget = Budget(10)
    >>> with budget.spend(7):
    ...     budget.left
    3
    """

    def __init__(self, total: int) -> None:
        self.total = self.left = total
        self._changed = threading.Condition()

    @contextmanager
    def spend(self, units: int) -> Iterator[None]:
        """Hold `units` inside the block. A larger request than the whole budget holds all of it."""
        units = min(units, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self.left >= units)
            self.left -= units
        try:
            yield
        finally:
            with self._changed:
                self.left += units
                self._changed.notify_all()
