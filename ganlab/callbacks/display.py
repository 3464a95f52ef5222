"""Places that show the progress of training: a terminal, a log, the cell of a notebook, or none."""

from __future__ import annotations

import html
import sys
from abc import ABC, abstractmethod
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

Metrics = dict[str, Any]


def side_loss(metrics: Metrics, side: str) -> float | None:
    """Return the sum of a side's terms as last logged, or None if there are none yet."""
    terms = [value for name, value in metrics.items() if name.startswith(f"{side}/") and "gradient" not in name]
    return float(sum(terms)) if terms else None


def losses(metrics: Metrics) -> str:
    """Return `D 1.234  G 0.987`, or "" before the first losses are logged."""
    values = {letter: side_loss(metrics, side) for letter, side in (("D", "discriminator"), ("G", "generator"))}
    return "  ".join(f"{letter} {value:.3f}" for letter, value in values.items() if value is not None)


class Display(ABC):
    """A place to show progress, with `seconds` between two updates."""

    seconds: float

    @abstractmethod
    def update(self, done: int, total: int | None, text: str) -> None:
        """Show `done` of `total` iterations, with the other information in `text`."""

    @abstractmethod
    def stop(self) -> None:
        """End the display."""


class Bar(Display):
    """A live bar. Other output appears above it."""

    seconds = 0.25

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[text]}"))
        self._progress = Progress(*columns, console=console, auto_refresh=False)
        self._task = self._progress.add_task("training", total=None, text="")
        self._progress.start()

    def update(self, done: int, total: int | None, text: str) -> None:
        """Show `done` of `total` iterations with `text`."""
        self._progress.update(self._task, completed=done, total=total, text=text, refresh=True)

    def stop(self) -> None:
        """Restore the terminal."""
        self._progress.stop()


class Lines(Display):
    """One line for each `seconds`, for logs."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def update(self, done: int, total: int | None, text: str) -> None:
        """Show `done` of `total` iterations with `text`."""
        of = "" if total is None else f"/{total}"
        print(f"iteration {done}{of}  {text}", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Do nothing: lines need no end."""


class Silence(Display):
    """A display without output, for the other processes."""

    seconds = float("inf")

    def update(self, done: int, total: int | None, text: str) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


class Cell(Display):
    """A bar in the output of a notebook's cell."""

    seconds = 0.5

    def __init__(self) -> None:
        from IPython import display

        self._module: Any = display
        self._handle: Any = self._module.display(self._module.HTML(""), display_id=True)

    def update(self, done: int, total: int | None, text: str) -> None:
        """Show `done` of `total` iterations with `text`."""
        bar = "" if total is None else f'<progress value="{done}" max="{total}"></progress> '
        of = "" if total is None else f" of {total}"
        self._handle.update(self._module.HTML(f"{bar}iteration {done}{of} &nbsp; {html.escape(text)}"))

    def stop(self) -> None:
        """Do nothing: the bar stays as it is."""


def in_notebook() -> bool:
    """Return whether the program runs in the kernel of a notebook. IPython is not imported for that."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None  # type: ignore[attr-defined]
    return hasattr(shell, "kernel")


def fitting_display(seconds: float) -> Display:
    """Return the display for this process. seconds: between two lines of a log."""
    if in_notebook():
        return Cell()
    console = Console(stderr=True)
    return Bar(console) if console.is_terminal else Lines(seconds)
