"""Settings that follow others: `end: ${trainer.max_steps}` in a recipe's file. A resumed run's follow still.

A checkpoint's recipe has plain values, and beside them, under `derived`, where each of these came from: its place and
its source, as dotted paths to single values. Knows nothing of Hydra.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ganlab.errors import UserError

REFERENCE = re.compile(r"\$\{([A-Za-z]\w*(?:\.\w+)*)\}")
FIXED = "seed"
"""What follows it keeps its value: the seed of the data says which pictures are held out, and a resumed run's are."""


def sources(written: Any, values: Any) -> dict[str, str]:
    """Place -> source of every single value of the tree `values` that is a reference in the tree as it was written.

    >>> sources({"a": 1, "b": ["${a}", 2], "c": "${b}"}, {"a": 1, "b": [1, 2], "c": [1, 2]})
    {'b.0': 'a', 'c.0': 'b.0', 'c.1': 'b.1'}
    """
    found = {place: match[1] for place, text in leaves(written) if (match := REFERENCE.fullmatch(str(text)))}
    return {
        f"{place}{rest}": f"{source}{rest}"
        for place, source in found.items()
        if source != FIXED
        for rest, _ in leaves(value_at(values, source), "")
    }


def restored(values: Mapping[str, Any], derived: Any) -> dict[str, Any]:
    """A copy with the reference back in every place whose value is still its source's. `UserError` for no such table.

    >>> restored({"a": 1, "b": 1, "c": 2}, {"b": "a", "c": "a", "d": "a"})
    {'a': 1, 'b': '${a}', 'c': 2}
    """
    if not isinstance(derived, Mapping) or not all(isinstance(source, str) for source in derived.values()):
        raise UserError("`derived` in the checkpoint's recipe must be places and their sources, as dotted paths")
    tree = copy.deepcopy(dict(values))
    for place, source in derived.items():
        try:
            if value_at(values, place) == value_at(values, source):
                parent, _, name = place.rpartition(".")
                _set(value_at(tree, parent) if parent else tree, name, f"${{{source}}}")
        except LookupError:
            continue  # a group that was replaced took it away
    return tree


def leaves(tree: Any, place: str | None = None) -> Iterator[tuple[str, Any]]:
    """The single values of a tree, with their dotted paths; below `place`, each path starts with a dot or is it."""
    if not isinstance(tree, Mapping | list):
        yield place or "", tree
        return
    for name, value in tree.items() if isinstance(tree, Mapping) else enumerate(tree):
        yield from leaves(value, str(name) if place is None else f"{place}.{name}")


def value_at(tree: Any, path: str) -> Any:
    """What is at a dotted path. Raises `LookupError` if nothing is."""
    for name in path.split("."):
        tree = tree[int(name)] if isinstance(tree, list) and name.isdecimal() else _inside(tree, name)
    return tree


def _inside(tree: Any, name: str) -> Any:
    if not isinstance(tree, Mapping):
        raise LookupError(name)
    return tree[name]


def _set(node: Any, name: str, value: str) -> None:
    node[int(name) if isinstance(node, list) else name] = value
