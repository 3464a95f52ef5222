"""Build objects from a recipe's nodes. Only what a node names is imported. This module does not use Hydra."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ganlab.config.checking import check_settings
from ganlab.errors import UserError


def locate(target: str) -> Any:
    """Return the object that a dotted path names. Raise `UserError` if it does not exist."""
    parts = target.split(".")
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        try:
            found: Any = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and not f"{name}.".startswith(f"{error.name}."):
                raise UserError(f"`{target}` needs the package {error.name}, which is not installed") from error
            continue
        return functools.reduce(_attribute, parts[length:], found)
    raise UserError(f"`_target_` {target} does not exist")


def _attribute(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        raise UserError(f"`_target_`: {getattr(owner, '__name__', owner)} has no {name}") from error


def build(node: Any, **extra: Any) -> Any:
    """Return the object that a node names, its parts built first. `extra` adds to the node's settings or replaces them.

    With `_partial_: true` the object is a function that takes the remaining arguments. A value that is no component is
    returned unchanged.
    """
    if isinstance(node, Mapping):
        given = {key: value for key, value in node.items() if key not in extra and key not in ("_target_", "_partial_")}
        if "_target_" in node:
            check_settings(node["_target_"], given)
        parts = {key: build(value) for key, value in given.items()} | extra
        return _call(locate(node["_target_"]), bool(node.get("_partial_")), parts) if "_target_" in node else parts
    return [build(item) for item in node] if isinstance(node, list | tuple) else node


class Later(functools.partial[Any]):
    """A component that lacks arguments, which ganlab passes later. Raise `UserError` if it does not take them."""

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Return the object."""
        _check_arguments(inspect.Signature.bind, self.func, {**self.keywords, **kwargs}, *args)
        return super().__call__(*args, **kwargs)


def _call(factory: Callable[..., Any], partial: bool, parts: dict[str, Any]) -> Any:
    if inspect.isabstract(factory):
        missing = ", ".join(sorted(getattr(factory, "__abstractmethods__", ())))
        raise UserError(f"`{_name(factory)}` cannot be made: it must define {missing}")
    if partial:
        _check_arguments(inspect.Signature.bind_partial, factory, parts)
        return Later(factory, **parts)
    _check_arguments(inspect.Signature.bind, factory, parts, hint=": ganlab may pass the rest if `_partial_` is true")
    return factory(**parts)


def _check_arguments(
    bind: Callable[..., Any], factory: Callable[..., Any], named: Mapping[str, Any], *args: Any, hint: str = ""
) -> None:
    """Raise `UserError` if `bind` cannot bind the arguments to a component. hint: added if one is missing."""
    try:
        signature = inspect.signature(factory)
    except ValueError:
        return  # a builtin without a signature
    except TypeError as error:
        raise UserError(f"`{_name(factory)}` cannot be made: {error}") from error
    try:
        bind(signature, *args, **named)
    except TypeError as error:
        takes, gets = (", ".join(names) or "nothing" for names in (signature.parameters, named))
        end = hint if str(error).startswith("missing") else ""
        raise UserError(
            f"`{_name(factory)}` cannot be made: {error} (it takes {takes}, and gets {gets}){end}"
        ) from error


def _name(factory: Callable[..., Any]) -> str:
    return getattr(factory, "__qualname__", str(factory))
