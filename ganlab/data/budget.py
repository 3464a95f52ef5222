"""A bound on what many threads have in hand at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """A number of units that threads share. Who asks for more than is left waits until others have given theirs back.

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
        """Hold `units`, or all there are if it is more."""
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
