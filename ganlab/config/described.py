"""Objects in a recipe. Python code may put a network, an array or a callback where a file names a component.

A run's files keep a description in its place: the dotted path of the class, which another process can build if it can
import it. What cannot be described becomes null.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from ganlab.config.annotations import is_plain


def described(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a recipe in plain values, as files store it. Objects among the callbacks are left out."""
    plain = {key: _plain(value) for key, value in recipe.items()}
    if isinstance(callbacks := recipe.get("callbacks"), Mapping):
        plain["callbacks"] = {name: _plain(one) for name, one in callbacks.items() if is_plain(one)}
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if is_plain(value) else node_of(value)


def node_of(value: Any) -> dict[str, Any] | None:
    """Return the node that names an object's class. Return None for a value of a library's own type, like an array.

    The node of a class, a function or a `functools.partial` makes an equal one. An object's own node has no settings.

    >>> node_of(functools.partial(int, base=2))
    {'_target_': 'builtins.int', '_partial_': True, 'base': 2}
    """
    if isinstance(value, functools.partial):
        node = node_of(value.func)
        return node and {**node, **{key: _plain(one) for key, one in value.keywords.items()}}
    if inspect.isclass(value) or inspect.isfunction(value):
        return {"_target_": path_of(value), "_partial_": True}
    named = type(value).__module__.partition(".")[0] not in ("builtins", "numpy") and hasattr(value, "__dict__")
    return {"_target_": path_of(type(value))} if named and not hasattr(value, "__array__") else None


def path_of(definition: Any) -> str:
    """Return the dotted path of a class or function."""
    return f"{definition.__module__}.{definition.__qualname__}"


def is_importable(definition: Any) -> bool:
    """Return whether another process finds this class or function under its dotted path.

    >>> is_importable(functools.partial), is_importable(lambda: 0)
    (True, False)
    """
    if definition.__module__ == "__main__" or "<" in definition.__qualname__:
        return False
    try:
        found = importlib.import_module(definition.__module__)
        return functools.reduce(getattr, definition.__qualname__.split("."), found) is definition
    except (ImportError, AttributeError):
        return False
