"""The floors of the package: a room imports rooms below it, never one above or beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ganlab
from ganlab.__main__ import COMMANDS

ROOT = Path(ganlab.__file__).parent
FLOORS = (
    "errors console processes",
    "files",
    "config",
    "data divergences schedules constraints reports",
    "objectives perturbations",
    "networks",
    "metrics regularizers",
    "core",
    "variants loggers",
    "sampling",
    "evaluation latents",
    "collapse publishing",
    "callbacks",
    "runs",
    "lecture gan fit sample walk edit project evaluate table report export push zoo",
    "__main__",
)
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms.split()}


def rooms() -> set[str]:
    """The files and folders at the first level that hold code."""
    files = {path.stem for path in ROOT.glob("*.py") if path.stem != "__init__"}
    return files | {path.parent.name for path in ROOT.glob("*/__init__.py")}


def imported(file: Path) -> Iterator[str]:
    """The dotted names of ganlab that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "ganlab":
            yield from (f"ganlab.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ganlab."):
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("ganlab."))


def upward(room: str) -> list[str]:
    """The imports of a room that do not go down."""
    files = sorted((ROOT / room).rglob("*.py")) or [ROOT / f"{room}.py"]
    found = []
    for file in files:
        for name in imported(file):
            other = name.split(".")[1]
            if other in LEVEL and other != room and LEVEL[other] >= LEVEL[room]:
                found.append(f"{file.relative_to(ROOT)} imports {name}")
    return found


def test_every_room_has_a_floor() -> None:
    assert rooms() == set(LEVEL)


def test_every_command_is_a_module_of_its_own() -> None:
    assert set(COMMANDS) <= rooms()


def test_the_first_level_stays_small() -> None:
    assert len(rooms() - {*COMMANDS}) <= 28


@pytest.mark.parametrize("room", sorted(LEVEL))
def test_no_import_runs_upwards(room: str) -> None:
    assert upward(room) == []
