"""Where things are defined, found in source files without importing them.

`find("torch.optim.Adam")` follows packages, re-exports and aliases to the class or function. Where the source does not
tell (C extensions, generated code), the answer is `Unknown`. Knows nothing of recipes, and executes nothing.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

Node = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
BUILTINS = {"int", "float", "bool", "str", "list", "tuple", "dict", "object", "type"}
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Unknown(LookupError):
    """The source does not tell."""


class Missing(LookupError):
    """There is no such name. `words` are those that there are in the same place."""

    def __init__(self, name: str, place: str, words: Sequence[str]) -> None:
        super().__init__(f"{place} has no {name}")
        self.name, self.place, self.words = name, place, words


@dataclass(frozen=True)
class Module:
    """A parsed source file; `folder` is where its submodules are, if it is a package."""

    name: str
    file: Path
    folder: Path | None

    @property
    def package(self) -> str:
        return self.name if self.folder else self.name.rpartition(".")[0]

    def submodule(self, name: str) -> Module | None:
        return _module_in(self.folder, f"{self.name}.{name}", name) if self.folder else None


@dataclass(frozen=True)
class Definition:
    """A class or function and the module it is written in."""

    module: Module
    node: Node

    @property
    def name(self) -> str:
        return f"{self.module.name}.{self.node.name}"


@dataclass(frozen=True)
class Alias:
    """A module-level `name = expression`."""

    module: Module
    expression: ast.expr


Found = Module | Definition | Alias


# Files ------------------------------------------------------------------------------------------------------------


def _module_in(folder: Path, dotted: str, name: str) -> Module | None:
    inner, file = folder / name, folder / f"{name}.py"
    if (inner / "__init__.py").is_file():
        return Module(dotted, inner / "__init__.py", inner)
    return Module(dotted, file, None) if file.is_file() else None


@cache
def _top(name: str) -> Module:
    """A top-level module, found without importing it."""
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None:
        raise Missing(name, "this Python installation", [])
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise Unknown(name)
    folders = list(spec.submodule_search_locations or [])
    return Module(name, Path(spec.origin), Path(folders[0]) if folders else None)


@cache
def _statements(module: Module) -> list[ast.stmt]:
    """The module's top-level statements, those under `if` and `try` included."""
    return list(_flat(ast.parse(module.file.read_text(encoding="utf-8")).body))


def _flat(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try):
            handlers = [inner for handler in getattr(statement, "handlers", []) for inner in handler.body]
            yield from _flat([*statement.body, *statement.orelse, *handlers])


# Names ------------------------------------------------------------------------------------------------------------


@cache
def find(target: str) -> Definition:
    """The class or function that a dotted path names. Raises `Missing` or `Unknown`."""
    found = _resolve(target)
    if isinstance(found, Module):
        raise Missing(target.rpartition(".")[2], "a module: a class or function", names(found))
    if isinstance(found, Alias):
        raise Unknown(target)
    return found


def _resolve(dotted: str) -> Found:
    first, *rest = dotted.split(".")
    found: Found = _top(first)
    for name in rest:
        found = attribute(found, name)
    return found


def attribute(owner: Found, name: str) -> Found:
    """What `owner.name` is. Raises `Missing` or `Unknown`."""
    if isinstance(owner, Module):
        return lookup(owner, name)
    if not (isinstance(owner, Definition) and isinstance(owner.node, ast.ClassDef)):
        raise Unknown(name)
    for statement in owner.node.body:
        if isinstance(statement, DEFINITIONS) and statement.name == name:
            return Definition(owner.module, statement)
    raise Unknown(name)


@cache
def lookup(module: Module, name: str) -> Found:
    """What `name` is at the top level of a module, through imports and aliases. Raises `Missing` or `Unknown`."""
    if (inner := module.submodule(name)) and not _binds(module, name):
        return inner
    for statement in _statements(module):
        if (found := _bound_by(module, statement, name)) is not None:
            return found
    if inner:
        return inner
    for star in _stars(module):
        try:
            return lookup(star, name)
        except Missing:
            continue
    if any(isinstance(s, ast.FunctionDef) and s.name == "__getattr__" for s in _statements(module)):
        raise Unknown(name)
    raise Missing(name, module.name, names(module))


def _binds(module: Module, name: str) -> bool:
    """Whether a package's own file defines `name` as a class or function, or imports it from elsewhere than itself."""
    if module.file.stat().st_size > 60_000:  # a huge __init__ (torch's): its submodule is what is meant
        return False
    return any(_bound_by(module, statement, name) is not None for statement in _statements(module))


def _bound_by(module: Module, statement: ast.stmt, name: str) -> Found | None:
    if isinstance(statement, DEFINITIONS):
        return Definition(module, statement) if statement.name == name else None
    if isinstance(statement, ast.ImportFrom):
        return next(
            (_imported(module, statement, a.name) for a in statement.names if (a.asname or a.name) == name), None
        )
    if isinstance(statement, ast.Import):
        return next((_resolve(a.name) for a in statement.names if name in (a.asname, a.name)), None)
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return evaluate(module, statement.value)
    return None


def _imported(module: Module, statement: ast.ImportFrom, name: str) -> Found:
    """What an import brings in. The code runs, so a name that is not found is one that the source does not tell."""
    source = _source(module, statement)
    inner = module.submodule(name)
    if source == module and inner:
        return inner
    try:
        return lookup(source, name)
    except (Missing, RecursionError) as error:
        raise Unknown(name) from error


def _source(module: Module, statement: ast.ImportFrom) -> Module:
    """The module that a `from ... import` reads."""
    dotted = statement.module or ""
    if statement.level:
        base = module.package.split(".")
        kept = base[: len(base) - statement.level + 1]
        dotted = ".".join([*kept, *([dotted] if dotted else [])])
    first, *rest = dotted.split(".")
    try:
        found: Module | None = _top(first)
    except Missing as error:
        raise Unknown(dotted) from error
    for name in rest:
        found = found.submodule(name) if found else None
    if found is None:
        raise Unknown(dotted)
    return found


def _stars(module: Module) -> Iterator[Module]:
    for statement in _statements(module):
        if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
            yield _source(module, statement)


def names(module: Module) -> list[str]:
    """The public names that a module defines or imports, its submodules included: what may have been meant."""
    found = {path.stem for path in module.folder.glob("[!_]*.py")} if module.folder else set()
    for statement in _statements(module):
        if isinstance(statement, DEFINITIONS):
            found.add(statement.name)
        elif isinstance(statement, ast.ImportFrom) and (statement.level or _related(module, statement)):
            found.update(alias.asname or alias.name for alias in statement.names)
    return sorted(name for name in found if not name.startswith(("_", "*")))


def _related(module: Module, statement: ast.ImportFrom) -> bool:
    return bool(module.folder) and (statement.module or "").startswith(module.name)


def evaluate(module: Module, expression: ast.expr) -> Found:
    """What an expression made of names and dots stands for, else the expression itself."""
    if isinstance(expression, ast.Name) and expression.id in BUILTINS:
        return Alias(module, expression)
    if isinstance(expression, ast.Name):
        return lookup(module, expression.id)
    if isinstance(expression, ast.Attribute):
        return attribute(evaluate(module, expression.value), expression.attr)
    return Alias(module, expression)
