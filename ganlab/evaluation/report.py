"""Numbers on disk and on screen, with all it takes to know what they mean; two such files compared, if they may be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
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
    """Of what made a number. They do not keep two numbers from being compared."""
    found = {"ganlab": ganlab.__version__, "torch": torch.__version__}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def report(results: dict[str, Result], subject: str) -> dict[str, Any]:
    """Plain values: what was measured, and by name each number's value, spread, protocol and versions."""
    made = versions()
    return {"of": subject, "metrics": {name: {**asdict(one), "versions": made} for name, one in results.items()}}


def write_report(path: Path, content: dict[str, Any]) -> None:
    atomic_write(path, json.dumps(content, indent=2, default=str) + "\n")


def read_report(path: Path) -> dict[str, Result]:
    """The numbers in a file that `write_report` wrote, by name; `UserError` for any other."""
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        return {name: Result(one["value"], one["spread"], dict(one["protocol"])) for name, one in metrics.items()}
    except OSError as error:
        raise UserError(f"`compare`: {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"`compare`: {path} was not written by ganlab.evaluate out=...") from error


class Comparison(NamedTuple):
    """Two numbers measured alike; `deviations`: their difference over both spreads together, where both are known."""

    name: str
    first: Result
    second: Result

    @property
    def difference(self) -> float:
        return self.second.value - self.first.value

    @property
    def deviations(self) -> float | None:
        if self.first.spread is None or self.second.spread is None:
            return None
        together = (self.first.spread**2 + self.second.spread**2) ** 0.5
        return self.difference / together if together else None


def compare(first: Path, second: Path) -> list[Comparison]:
    """The measures that both files have. `UserError` that names every field in which their protocols differ."""
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
    """By what is measured, whatever it is measured with: `fid` for fid_inception_tf1 and fid_inception_antialias."""
    return {one.protocol.get("measure", name): (name, one) for name, one in results.items()}


def _differing(pairs: Sequence[tuple[Result, Result]]) -> list[str]:
    """Each field in which any pair's protocols differ, once, with both values."""
    found: dict[str, str] = {}
    for a, b in pairs:
        for field in a.differs(b):
            found.setdefault(
                field, f"{field} is {a.protocol.get(field)} in one and {b.protocol.get(field)} in the other"
            )
    return list(found.values())


def show(results: dict[str, Result], subject: str) -> None:
    """A table for people."""
    rows = []
    for name, result in results.items():
        counts = ", ".join(f"{v} {k}" for k, v in result.protocol.items() if k in ("reals", "fakes", "images", "split"))
        rows.append((name, str(result), counts))
    _print(subject, ("measured", "value", "of"), rows)


def show_comparison(found: Sequence[Comparison], first: Path, second: Path) -> None:
    """The same for two files, the difference being the second less the first."""
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
