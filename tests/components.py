"""Find ganlab's components by their base classes, and make one of each: what the contract tests run on.

A class is found because it is there: no test has a list of them. What its constructor needs comes, in this order, from
the test, from its own defaults, from the recipe file that names it, and from the annotations of its parameters.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml
from torch import nn

from ganlab.config.catalog import recipe_folder

SKIPPED = ("__main__", "ganlab.lecture", "ganlab.recipes")


@cache
def import_all(package: str = "ganlab") -> list[str]:
    """Import every file of a package, and return their dotted names."""
    root = importlib.import_module(package)
    names = [module.name for module in pkgutil.walk_packages(root.__path__, f"{package}.")]
    names = [name for name in names if not any(part in name for part in SKIPPED)]
    for name in names:
        importlib.import_module(name)
    return names


def components(base: type, package: str = "ganlab") -> list[type[Any]]:
    """Return the concrete subclasses of `base` that a package defines, in the order of their names."""
    import_all(package)

    def below(kind: type) -> Iterator[type]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    own = {one for one in below(base) if one.__module__.startswith(f"{package}.")}
    final = [one for one in own if not inspect.isabstract(one) and not one.__name__.startswith("_")]
    return sorted(final, key=lambda one: (one.__module__, one.__qualname__))


def networks(*takes: str, package: str = "ganlab.networks") -> list[type[nn.Module]]:
    """Return the modules of a package that are made for a `shape`, and whose other required parameters are `takes`."""
    found = [one for one in components(nn.Module, package) if set(required(one)) == {"shape", *takes}]
    return [one for one in found if not inspect.isclass(get_type_hints(one.__init__)["shape"])]


def required(kind: type) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class without a default."""
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(kind).parameters
    return {name: p for name, p in parameters.items() if p.default is p.empty and p.kind in plain}


def examples(kind: type, **given: Any) -> list[Any]:
    """Make a component: one object, or one for each word that a required parameter may be."""
    hints = get_type_hints(kind.__init__, include_extras=True)  # type: ignore[misc]
    settings = {name: value for name, value in given.items() if name in inspect.signature(kind).parameters}
    choices: dict[str, tuple[Any, ...]] = {}
    for name in required(kind):
        if name in settings:
            continue
        if name in stored(kind):
            settings[name] = stored(kind)[name]
        elif get_origin(hints[name]) is Literal:
            choices[name] = get_args(hints[name])
        else:
            settings[name] = _number(hints[name])
    if not choices:
        return [kind(**settings)]
    (name,) = choices
    return [kind(**settings, **{name: word}) for word in choices[name]]


def every(base: type, package: str = "ganlab", **given: Any) -> list[Any]:
    """Make every component with this base class."""
    return [made for kind in components(base, package) for made in examples(kind, **given)]


def stored(kind: type) -> dict[str, Any]:
    """Return the plain settings that a recipe file has for a class."""
    return _nodes().get(f"{kind.__module__}.{kind.__qualname__}", {})


def _number(hint: Any) -> int | float:
    """Return a 1 of the first kind of number that an annotation admits."""
    return 1 if "int" in str(hint).partition(" |")[0] else 1.0


@cache
def _nodes() -> dict[str, dict[str, Any]]:
    """Return the settings of all recipe files by `_target_`, but for those that follow other settings."""
    found: dict[str, dict[str, Any]] = {}

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "_target_" in node:
                plain = {key: value for key, value in node.items() if not (isinstance(value, str) and "${" in value)}
                found.setdefault(node["_target_"], {key: v for key, v in plain.items() if not key.startswith("_")})
            for inner in node.values():
                walk(inner)

    for file in sorted(Path(recipe_folder()).rglob("*.yaml")):
        walk(yaml.safe_load(file.read_text()))
    return found
