"""The speed of a run and its remaining time, from the last seconds. Pure arithmetic."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

WINDOW = 30.0  # seconds: long enough to smooth over measurements, short enough to follow a change


class Mark(NamedTuple):
    """The images and iterations of a run at one time."""

    seconds: float
    images: int
    iterations: int


class Pace:
    """Rates over the last `WINDOW` seconds of marks."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()

    def mark(self, seconds: float, images: int, iterations: int) -> None:
        """Record the images and iterations done after `seconds`."""
        self._marks.append(Mark(seconds, images, iterations))
        while len(self._marks) > 2 and seconds - self._marks[1].seconds > WINDOW:
            self._marks.popleft()

    def images_per_second(self) -> float:
        """Return the images per second, or 0 before there are two marks."""
        return self._rate(self._marks[-1].images - self._marks[0].images) if self._marks else 0.0

    def seconds_left(self, iterations: int) -> float | None:
        """Return the seconds for this number of further iterations, or None if no rate is known yet."""
        rate = self._rate(self._marks[-1].iterations - self._marks[0].iterations) if self._marks else 0.0
        return iterations / rate if rate > 0 and iterations >= 0 else None

    def _rate(self, difference: int) -> float:
        seconds = self._marks[-1].seconds - self._marks[0].seconds
        return difference / seconds if seconds > 0 else 0.0


def clock(seconds: float | None) -> str:
    """Return seconds as hours, minutes and seconds.

    >>> clock(3725), clock(65), clock(None)
    ('1:02:05', '1:05', '?')
    """
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
