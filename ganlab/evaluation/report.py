"""Numbers with their protocols: write, read, print and compare them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import torch

import ganlab
from ganlab.errors import UserError
from ganlab.files.durable import atomic_write
from ganlab.metrics.result import Result

LIBRARIES = ("pytorch-lightning", "torchmetrics", "torch-fidelity")


def versions() -> dict[str, str]:
    """Return the versions of the packages that affect numbers. Numbers of different versions may still be compared."""
    found = {"ganlab": ganlab.__version__, "torch": torch.__version__}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def report(results: dict[str, Result], subject: str) -> dict[str, Any]:
    """Return the results in plain values, with each number's value, spread, protocol and versions by name."""
    made = versions()
    return {"of": subject, "metrics": {name: {**_plain(one), "versions": made} for name, one in results.items()}}


def _plain(one: Result) -> dict[str, Any]:
    return {"value": one.value, "spread": one.spread, "protocol": one.protocol}


def write_report(path: Path, content: dict[str, Any]) -> None:
    """Write what `report` returns as JSON. The file is replaced whole."""
    atomic_write(path, json.dumps(content, indent=2, default=str) + "\n")


def read_report(path: Path) -> dict[str, Result]:
    """Return the numbers in a file of `write_report`, by name. Raise `UserError` for any other file."""
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        return {name: Result(one["value"], one["spread"], dict(one["protocol"])) for name, one in metrics.items()}
    except OSError as error:
        raise UserError(f"`compare`: {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"`compare`: {path} was not written by ganlab.evaluate out=...") from error


class Numbers(dict[str, Result]):
    """Results by their full names. They are shown as a table; each one's `protocol` says how it was measured."""

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:<{width}}  {result}" for name, result in self.items())


class Comparison(NamedTuple):
    """Two numbers of the same protocol."""

    name: str
    first: Result
    second: Result

    @property
    def difference(self) -> float:
        """Return the second value minus the first."""
        return self.second.value - self.first.value

    @property
    def deviations(self) -> float | None:
        """Return the difference over both spreads together; None if one of them is unknown."""
        if self.first.spread is None or self.second.spread is None:
            return None
        together = (self.first.spread**2 + self.second.spread**2) ** 0.5
        return self.difference / together if together else None


def compare(first: Path, second: Path) -> list[Comparison]:
    """Return the numbers that both files have. Raise `UserError` that names each field in which protocols differ."""
    sides = [_by_measure(read_report(path)) for path in (first, second)]
    common = [measure for measure in sides[0] if measure in sides[1]]
    if not common:
        names = " and ".join(f"{path} has {', '.join(side)}" for path, side in zip((first, second), sides, strict=True))
        raise UserError(f"`compare`: nothing was measured in both: {names}")
    pairs = [(sides[0][measure], sides[1][measure]) for measure in common]
    if differing := _differing([(a, b) for (_, a), (_, b) in pairs]):
        raise UserError(f"`compare`: {first} and {second} were measured differently: {'; '.join(differing)}")
    return [Comparison(name, a, b) for (name, a), (_, b) in pairs]


def _by_measure(results: dict[str, Result]) -> dict[str, tuple[str, Result]]:
    """Return the numbers by the measured quantity: `fid` for fid_inception_tf1 and for fid_inception_antialias."""
    return {one.protocol.get("measure", name): (name, one) for name, one in results.items()}


def _differing(pairs: Sequence[tuple[Result, Result]]) -> list[str]:
    """Return each field in which the protocols of a pair differ, once, with both values."""
    found: dict[str, str] = {}
    for a, b in pairs:
        for field in a.differs(b):
            found.setdefault(
                field, f"{field} is {a.protocol.get(field)} in one and {b.protocol.get(field)} in the other"
            )
    return list(found.values())


def show(results: dict[str, Result], subject: str) -> None:
    """Print a table of the numbers."""
    rows = []
    for name, result in results.items():
        counts = ", ".join(f"{v} {k}" for k, v in result.protocol.items() if k in ("reals", "fakes", "images", "split"))
        rows.append((name, str(result), counts))
    _print(subject, ("measured", "value", "of"), rows)


def show_comparison(found: Sequence[Comparison], first: Path, second: Path) -> None:
    """Print a table of two files' numbers and their differences, second minus first."""
    rows = []
    for one in found:
        away = "" if one.deviations is None else f" ({one.deviations:+.1f} sd)"
        rows.append((one.name, str(one.first), str(one.second), f"{one.difference:+.4g}{away}"))
    _print("the same protocol in both", ("measured", str(first), str(second), "difference"), rows)


def _print(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    Console(soft_wrap=True).print(table)
