"""A recipe as lines of YAML, with those marked that the command line has set."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ganlab.config.catalog import catalog
from ganlab.config.stored import DERIVED
from ganlab.config.words import OVERRIDES


class RecipeLine(NamedTuple):
    """One line: its text, and whether the command line has set it."""

    text: str
    set: bool


def recipe_lines(recipe: Mapping[str, Any], words: Mapping[str, str]) -> list[RecipeLine]:
    """Return the lines of a recipe. words: the settings of its command line."""
    places = tuple(_place(key) for key in words if key != "recipe")
    shown = {key: value for key, value in recipe.items() if key not in (DERIVED, OVERRIDES)}
    return list(_lines(shown, "", places))


def _place(key: str) -> str:
    """Return the dotted place in a recipe that a setting, or a group's choice, has set."""
    key = key.lstrip("~").partition("@")[0]
    known = catalog()
    place = known.place(key) if key in known.groups() else None
    return place or key.replace("/", ".")


def _lines(node: Mapping[str, Any], place: str, places: tuple[str, ...]) -> Iterator[RecipeLine]:
    for key, value in node.items():
        here = f"{place}.{key}" if place else str(key)
        indent = "  " * here.count(".") if place else ""
        chosen = any(here == one or here.startswith(f"{one}.") for one in places)
        if isinstance(value, Mapping) and value:
            yield RecipeLine(f"{indent}{key}:", chosen)
            yield from _lines(value, here, places)
        else:
            yield RecipeLine(f"{indent}{key}: {_value(value)}", chosen)


def _value(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)
