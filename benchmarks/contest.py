"""Compare several ways to compute the same number: interleaved, timed, reported as ratios."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch


def contest(contestants: Mapping[str, Callable[[], float]], rounds: int, truth: str) -> dict[str, Any]:
    """Run each contestant once in each round, in an order that moves on by one.

    Return median seconds, the ratios of those whose name begins with ganlab to the others, their numbers, and the
    relative differences from the number of `truth`.
    """
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    values: dict[str, float] = {}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            started = time.perf_counter()
            values[name] = contestants[name]()
            seconds[name].append(time.perf_counter() - started)
            told = f"round {turn + 1}  {name:<18} {seconds[name][-1]:8.2f} s  {values[name]:.6f}"
            print(told, file=sys.stderr, flush=True)
    middle = {name: statistics.median(taken) for name, taken in seconds.items()}
    ours = [name for name in names if name.startswith("ganlab")]
    theirs = [name for name in names if name not in ours]
    return {
        "seconds": middle,
        "ratios": {f"{one} / {other}": middle[one] / middle[other] for one in ours for other in theirs},
        "values": values,
        "relative_difference": {name: abs(value / values[truth] - 1) for name, value in values.items()},
    }


def tell(found: Mapping[str, Any], out: str, **settings: object) -> None:
    """Print the results as JSON with their settings, and write them to the file `out` if it is given."""
    text = json.dumps({**found, **settings, "torch": torch.__version__}, indent=2)
    print(text)
    if out:
        Path(out).write_text(text + "\n", encoding="utf-8")


def settings() -> dict[str, Any]:
    """Return the command line's name=value settings, whole numbers as int."""
    words = dict(word.split("=", 1) for word in sys.argv[1:])
    return {name: int(text) if text.isdecimal() else text for name, text in words.items()}
