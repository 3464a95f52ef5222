"""Settings that follow others: `end: ${trainer.max_steps}` in a recipe's file. In a resumed run they still do.

A checkpoint's recipe has plain values. Under `derived` it also has the place and the source of each value that follows
another, as dotted paths. This module does not use Hydra.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ganlab.errors import UserError

REFERENCE = re.compile(r"\$\{([A-Za-z]\w*(?:\.\w+)*)\}")
PLACE = re.compile(r"[A-Za-z]\w{0,63}(\.\w{1,64}){0,15}", re.ASCII)
"""A dotted name in a stored table."""
FIXED = "seed"
"""A source whose followers keep their values in a resumed run. The data's seed decides which pictures are held out."""


def sources(written: Any, values: Any) -> dict[str, str]:
    """Return place -> source of each single value of the tree `values` that is a reference in the tree `written`.

    Null follows nothing. A component counts as one value: the next time it may follow a number.

    >>> sources({"a": 1, "b": ["${a}", 2], "c": "${b}"}, {"a": 1, "b": [1, 2], "c": [1, 2]})
    {'b.0': 'a', 'c.0': 'b.0', 'c.1': 'b.1'}
    >>> sources({"a": {"_target_": "x"}, "b": "${a}"}, {"a": {"_target_": "x"}, "b": {"_target_": "x"}})
    {'b': 'a'}
    """
    found = {place: match[1] for place, text in leaves(written) if (match := REFERENCE.fullmatch(str(text)))}
    return {
        f"{place}{rest}": f"{source}{rest}"
        for place, source in found.items()
        if source != FIXED
        for rest, value in _parts(value_at(values, source))
        if value is not None
    }


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a component as one value; else yield the single values below."""
    return iter([("", value)]) if _is_component(value) else leaves(value, "")


def _is_component(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def restored(tree: Mapping[str, Any], values: Mapping[str, Any], derived: Any) -> dict[str, Any]:
    """Return a copy of `tree` with a reference in each place whose value in `values` still equals its source's.

    Only these references, between dotted names, are ever interpolated. Raise `UserError` if `derived` is no such table.

    >>> values = {"a": 1, "b": 1, "c": 2}
    >>> restored(values, values, {"b": "a", "c": "a", "d": "a"})
    {'a': 1, 'b': '${a}', 'c': 2}
    """
    if not _is_table(derived):
        raise UserError("`derived` in the checkpoint's recipe must be places and their sources, as dotted paths")
    copied = copy.deepcopy(dict(tree))
    for place, source in derived.items():
        try:
            value = value_at(values, source)
            if (type(value) in (int, float, bool, str) or _is_component(value)) and value_at(values, place) == value:
                parent, _, name = place.rpartition(".")
                _replace(value_at(copied, parent) if parent else copied, name, f"${{{source}}}")
        except (LookupError, TypeError):
            continue  # a replaced group has removed it
    return copied


def _is_table(derived: Any) -> bool:
    """Return whether it maps dotted names to dotted names, without a cycle of sources."""
    if not isinstance(derived, Mapping) or not all(
        isinstance(name, str) and PLACE.fullmatch(name) for pair in derived.items() for name in pair
    ):
        return False
    for place in derived:
        seen, source = {place}, derived[place]
        while source in derived and source not in seen:
            seen.add(source)
            source = derived[source]
        if source in seen:
            return False
    return True


def leaves(tree: Any, place: str | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the single values of a tree with their dotted paths.

    `place` is the tree's own path. Each yielded path is `place` or starts with it.
    """
    if not isinstance(tree, Mapping | list):
        yield place or "", tree
        return
    for name, value in tree.items() if isinstance(tree, Mapping) else enumerate(tree):
        yield from leaves(value, str(name) if place is None else f"{place}.{name}")


def value_at(tree: Any, path: str) -> Any:
    """Return the value at a dotted path. Raise `LookupError` if there is none."""
    for name in path.split("."):
        if not isinstance(tree, Mapping | list):
            raise LookupError(name)
        key: Any = int(name) if isinstance(tree, list) and name.isdecimal() else name
        tree = tree[key]
    return tree


def _replace(node: Any, name: str, reference: str) -> None:
    """Replace an existing value by a reference. A value that the user has set again stays."""
    key = int(name) if isinstance(node, list) else name
    if node[key] is not None:
        node[key] = reference
