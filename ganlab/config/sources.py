"""Find where a name is defined, in source files, without importing them.

`find("torch.optim.Adam")` follows packages, re-exports and aliases to the class or function. As in an import, a dotted
path goes through submodules as long as there are any. If the source does not tell (C extensions, generated code), it
raises `Unknown`. This module does not know recipes, and executes nothing. What it read is kept, until `refresh` sees
that a file has changed.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
BUILTINS = {"int", "float", "bool", "str", "list", "tuple", "dict", "object", "type"}


class Unknown(LookupError):
    """The error for a name that the source does not resolve."""


class Missing(LookupError):
    """The error for a name that does not exist. words: names in the same place. inside: its dotted path."""

    def __init__(self, name: str, place: str, words: Sequence[str] = (), inside: str = "") -> None:
        super().__init__(f"{place} has no {name}")
        self.name, self.words, self.inside = name, words, inside


@dataclass(frozen=True)
class Module:
    """A source file and its dotted name."""

    name: str
    file: Path

    @property
    def folder(self) -> Path | None:
        """Return the folder of its submodules, or None if it is not a package."""
        return self.file.parent if self.file.name == "__init__.py" else None

    def submodule(self, name: str) -> Module | None:
        """Return the package or file of that name inside this package, or None."""
        files = (self.folder / name / "__init__.py", self.folder / f"{name}.py") if self.folder else ()
        return next((Module(f"{self.name}.{name}", file) for file in files if file.is_file()), None)


@dataclass(frozen=True)
class Definition:
    """A class or function and the module that defines it."""

    module: Module
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def name(self) -> str:
        """Return its dotted path."""
        return f"{self.module.name}.{self.node.name}"


@dataclass(frozen=True)
class Alias:
    """A module-level `name = expression`."""

    module: Module
    expression: ast.expr


Found = Module | Definition | Alias


def refresh() -> None:
    """Forget everything found so far if a file of it has changed or moved, as a user's does beside a notebook."""
    importlib.invalidate_caches()
    if any(getattr(_spec(name), "origin", None) != origin for name, origin in _ORIGINS.items()) or any(
        _stamp(file) != stamp for file, stamp in _STAMPS.items()
    ):
        _ORIGINS.clear()
        _STAMPS.clear()
        for cached in (find, lookup, _top, _statements):
            cached.cache_clear()


@cache
def find(target: str) -> Definition:
    """Return the class or function that a dotted path names. Raise `Missing` or `Unknown`."""
    parent, _, name = target.rpartition(".")
    owner = _resolve(parent) if parent else None
    found = lookup(owner, name) if isinstance(owner, Module) else attribute(owner, name) if owner else _top(name)
    if isinstance(found, Module):
        raise Missing(f"class or function {name}", parent or "Python", names(found), found.name)
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
    """Return `owner.name`, a submodule first. Raise `Missing` or `Unknown`."""
    if isinstance(owner, Module):
        return owner.submodule(name) or lookup(owner, name)
    body = owner.node.body if isinstance(owner, Definition) and isinstance(owner.node, ast.ClassDef) else []
    for statement in body:
        if isinstance(statement, DEFINITIONS) and statement.name == name:
            return Definition(owner.module, statement)
    raise Unknown(name)


@cache
def lookup(module: Module, name: str) -> Found:
    """Return the meaning of `name` at the top level of a module, through imports and aliases.

    Raise `Missing` or `Unknown`.
    """
    for statement in _statements(module):
        if (found := _bound_by(module, statement, name)) is not None:
            return found
    if inner := module.submodule(name):
        return inner
    for statement in _statements(module):
        if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
            try:
                return lookup(_source(module, statement), name)
            except Missing:
                continue
    if any(isinstance(s, ast.FunctionDef) and s.name == "__getattr__" for s in _statements(module)):
        raise Unknown(name)
    raise Missing(name, module.name, names(module), module.name)


def evaluate(module: Module, expression: ast.expr) -> Found:
    """Return the object that an expression of names and dots refers to. Return any other expression itself."""
    if isinstance(expression, ast.Name) and expression.id not in BUILTINS:
        return lookup(module, expression.id)
    if isinstance(expression, ast.Attribute):
        return attribute(evaluate(module, expression.value), expression.attr)
    return Alias(module, expression)


def names(module: Module) -> list[str]:
    """Return the public names that a module defines or imports from itself, submodules included, for suggestions."""
    found = _files(module.folder) if module.folder else set()
    for statement in _statements(module):
        if isinstance(statement, DEFINITIONS):
            found.add(statement.name)
        elif isinstance(statement, ast.ImportFrom) and (
            statement.level or (statement.module or "").startswith(module.name)
        ):
            found.update(alias.asname or alias.name for alias in statement.names)
    return sorted(name for name in found if name[0] not in "_*")


def _files(folder: Path) -> set[str]:
    """Return the names of the modules and packages in a folder."""
    return {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}


# Files and their statements ---------------------------------------------------------------------------------------

_ORIGINS: dict[str, str] = {}  # of the top-level modules found so far
_STAMPS: dict[Path, tuple[int, int] | None] = {}  # of the files read so far: time of the last change, size


@cache
def _top(name: str) -> Module:
    """Return a top-level module without importing it."""
    spec = _spec(name)
    if spec is None:
        raise Missing(name, "Python, with the files in this folder,", sorted(_files(Path.cwd())))
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise Unknown(name)
    _ORIGINS[name] = spec.origin
    return Module(name, Path(spec.origin))


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name) if name.isidentifier() else None
    except ValueError:  # a module that runs without a spec, such as __main__
        return None


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


@cache
def _statements(module: Module) -> list[ast.stmt]:
    """Return the module's top-level statements, with those under `if` and `try`."""
    _STAMPS[module.file] = _stamp(module.file)
    return list(_flat(ast.parse(module.file.read_text(encoding="utf-8")).body))


def _flat(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try):
            handlers = [inner for handler in getattr(statement, "handlers", []) for inner in handler.body]
            yield from _flat([*statement.body, *statement.orelse, *handlers])


def _bound_by(module: Module, statement: ast.stmt, name: str) -> Found | None:
    """Return the object that a statement binds to `name`, or None."""
    if isinstance(statement, DEFINITIONS):
        return Definition(module, statement) if statement.name == name else None
    if isinstance(statement, ast.ImportFrom):
        bound = (_imported(module, statement, a.name) for a in statement.names if (a.asname or a.name) == name)
        return next(bound, None)
    if isinstance(statement, ast.Import):
        return next((_resolve(a.name) for a in statement.names if name in (a.asname, a.name)), None)
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return evaluate(module, statement.value)
    return None


def _imported(module: Module, statement: ast.ImportFrom, name: str) -> Found:
    """Return the object that an import binds. The code is known to run, so a name that is not found is `Unknown`."""
    source = _source(module, statement)
    try:
        return source.submodule(name) or lookup(source, name)
    except (Missing, RecursionError) as error:
        raise Unknown(name) from error


def _source(module: Module, statement: ast.ImportFrom) -> Module:
    """Return the module that a `from ... import` reads."""
    package = module.name.split(".") if module.folder else module.name.split(".")[:-1]
    parents = package[: len(package) - statement.level + 1] if statement.level else []
    first, *rest = [*parents, *(statement.module.split(".") if statement.module else [])]
    try:
        found: Module | None = _top(first)
    except Missing as error:
        raise Unknown(first) from error
    for name in rest:
        found = found.submodule(name) if found else None
    if found is None:
        raise Unknown(statement.module)
    return found
