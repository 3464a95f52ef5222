"""All metrics by name, read from the source files of this folder: nothing is imported until a metric is used.

A concrete subclass of `Metric` with a `name` is registered by being there. Two classes may share a name if no data
meet the needs of both.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ganlab.config.building import locate
from ganlab.config.sources import find
from ganlab.config.trust import METRIC
from ganlab.errors import UserError, suggestion

if TYPE_CHECKING:
    from ganlab.metrics.metric import Metric
    from ganlab.metrics.target import Target


@dataclass(frozen=True)
class Entry:
    """One metric: what people type, the first line of its docstring, where its class is, and the names of its needs."""

    name: str
    line: str
    path: str
    better: str
    needs: tuple[str, ...]


@cache
def entries() -> tuple[Entry, ...]:
    """Return all metrics of this folder, sorted by name."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    found = [entry for file in files if "Metric)" in (text := file.read_text("utf-8")) for entry in _in(file, text)]
    return tuple(sorted(found, key=lambda entry: (entry.name, entry.path)))


def _in(file: Path, text: str) -> list[Entry]:
    """Return the metrics that a source file defines."""
    module = f"ganlab.metrics.{file.stem}"
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and "name" in _settings(node)]
    return [_entry(node, f"{module}.{node.name}") for node in classes if METRIC.holds(find(f"{module}.{node.name}"))]


def _entry(node: ast.ClassDef, path: str) -> Entry:
    line = (ast.get_docstring(node) or "").partition("\n")[0]
    settings = _inherited(path)
    needs = settings["needs"]
    words = [ast.unparse(one) for one in needs.elts] if isinstance(needs, ast.Tuple) else []
    return Entry(str(ast.literal_eval(settings["name"])), line, path, ast.unparse(settings["better"]), tuple(words))


def _inherited(path: str) -> dict[str, ast.expr]:
    """Return the class attributes of a class, those of its base classes included."""
    found = find(path)
    assert isinstance(found.node, ast.ClassDef)
    settings: dict[str, ast.expr] = {}
    for base in found.node.bases:
        try:
            settings |= _inherited(f"{found.module.name}.{ast.unparse(base)}")
        except (LookupError, AssertionError):
            continue
    return settings | _settings(found.node)


def _settings(node: ast.ClassDef) -> dict[str, ast.expr]:
    """Return the attributes that a class's body assigns."""
    return {
        target.id: one.value
        for one in node.body
        if isinstance(one, ast.Assign)
        for target in one.targets
        if isinstance(target, ast.Name)
    }


def names() -> list[str]:
    """Return what people may type, sorted."""
    return list(dict.fromkeys(entry.name for entry in entries()))


def lines() -> dict[str, str]:
    """Return each name with its line for help."""
    return {name: " ".join(entry.line for entry in entries() if entry.name == name) for name in names()}


def table() -> str:
    """Return all metrics as a Markdown table: name, direction, needs, and the line of help."""
    rows = [
        f"| `{one.name}` | {one.better.lower()} | {', '.join(need.lower().replace('_', ' ') for need in one.needs)} "
        f"| {one.line.replace('|', chr(92) + '|')} |"
        for one in entries()
    ]
    return "\n".join(["| name | better | needs | what it is |", "|---|---|---|---|", *rows])


def checked_names(asked: Sequence[str], allow: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return `asked`: names of metrics, or dotted paths of classes of your own.

    Raise `UserError` if there is none, an unknown one, or a class outside the packages in `allow`. None allows all.
    """
    for name in asked or [""]:
        if "." in name:
            _check_allowed(name, allow)
        elif name not in names():
            raise UserError(
                f"`metrics` has {name or 'nothing'!r} in it, which is no metric: {suggestion(name, names())}"
            )
    return tuple(asked)


def _check_allowed(path: str, allow: Sequence[str] | None) -> None:
    package = path.partition(".")[0]
    if allow is not None and not any(path.startswith(f"{one}.") for one in (*allow, "ganlab")):
        raise UserError(f"`metrics`: {path} is a program that is not ganlab's: pass allow=[{package}] if you trust it")


def candidates(name: str) -> list[type[Metric]]:
    """Import and return the classes of a name, or the class that a dotted path names. Raise `UserError` if none is."""
    from ganlab.metrics.metric import Metric

    found = [locate(path) for path in ([name] if "." in name else [one.path for one in entries() if one.name == name])]
    for one in found:
        if not (inspect.isclass(one) and issubclass(one, Metric) and not inspect.isabstract(one)):
            raise UserError(f"`metrics`: {name} is not a class derived from ganlab.metrics.metric.Metric")
    return found


def fitting(target: Target) -> list[type[Metric]]:
    """Return all metrics that data like the target's can have, sorted by name."""
    return [one for name in names() for one in candidates(name) if _applies(one, target)]


def chosen(asked: Sequence[str], target: Target, allow: Sequence[str] | None = None) -> list[type[Metric]]:
    """Return the classes of these metrics. Raise `UserError` for one that the target's data cannot have."""
    found = []
    for name in checked_names(asked, allow):
        fit = [one for one in candidates(name) if _applies(one, target)]
        if not fit:
            possible = ", ".join(dict.fromkeys(one.name for one in fitting(target)))
            raise UserError(f"`metrics`: {name} cannot be measured on this data, only {possible}")
        found.append(fit[0])
    return found


def _applies(metric: type[Metric], target: Target) -> bool:
    return all(need.applies(target) for need in metric.needs)
