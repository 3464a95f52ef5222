"""Check a plain value against a type annotation that is read from its source.

It knows numbers, words, lists, components and ranges. If in doubt, a value is accepted: only a plainly wrong one (a
word for a number) is refused. This module does not know recipes.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ganlab.config.ranges import Range, Square
from ganlab.config.signatures import Parameter
from ganlab.config.sources import Alias, Definition, Module, evaluate

LISTS = ("list", "List", "Sequence", "Iterable", "Collection", "set", "frozenset", "tuple", "Tuple")
MAPPINGS = ("dict", "Dict", "Mapping", "MutableMapping")
WORDS = {"Enum", "IntEnum", "StrEnum", "str", "int", "float"}
"""Bases of classes with plain values. The source does not tell which kind of value."""


@dataclass(frozen=True)
class Kind:
    """One alternative of a type: its words, its test, and the values that it lists, if any."""

    words: str
    test: Callable[[Any], bool] = lambda value: True
    choices: tuple[Any, ...] = ()


def _is_component(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def is_plain(value: Any) -> bool:
    """Return whether a value is of a kind that a recipe's file can have."""
    return value is None or isinstance(value, str | int | float | Mapping | list | tuple)


PLAIN = {
    "int": Kind("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": Kind("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    "bool": Kind("true or false", lambda value: isinstance(value, bool)),
    "str": Kind("text", lambda value: isinstance(value, str)),
    "Path": Kind("a path", lambda value: isinstance(value, str)),
    "None": Kind("null", lambda value: value is None),
    **{name: Kind("a list", _is_list) for name in LISTS},
    **{name: Kind(name, lambda value: isinstance(value, Mapping)) for name in MAPPINGS},
    **{name: Kind(name, _is_component) for name in ("Callable", "Tensor", "Module", "timedelta")},
    **{name: Kind(name) for name in ("Any", "object", "Self", "type", "Type")},
}


def accepts(parameter: Parameter, value: Any) -> bool:
    """Return whether the parameter takes this value. True if it has no annotation that can be read.

    An object that is no plain value was made by Python code, and is accepted.
    """
    default = parameter.default
    if value is None and isinstance(default, ast.Constant) and default.value is None:
        return True
    return _fits(_of(parameter), value)


def choices(parameter: Parameter) -> list[Any]:
    """Return the values that the annotation lists, to suggest one in place of a wrong value."""
    return [choice for kind in _of(parameter) for choice in kind.choices]


def describe(parameter: Parameter) -> str:
    """Return the annotation in words: `a whole number of at least 1`, `a number or null`, `one of 'a', 'b'`."""
    listed = ", ".join(map(repr, choices(parameter)))
    words = [kind.words for kind in _of(parameter) if not kind.choices]
    return " or ".join(dict.fromkeys(([f"one of {listed}" if "," in listed else listed] if listed else []) + words))


def _of(parameter: Parameter) -> list[Kind]:
    return kinds(parameter.module, parameter.annotation) if parameter.annotation else [Kind("anything")]


def _fits(alternatives: list[Kind], value: Any) -> bool:
    return not is_plain(value) or any(kind.test(value) for kind in alternatives)


def _are_parts(parts: list[Kind], value: Any) -> bool:
    return isinstance(value, Mapping) and all(_fits(parts, item) for item in value.values())


def kinds(module: Module, annotation: ast.expr) -> list[Kind]:
    """Return the alternatives of an annotation. Aliases are followed to their definitions."""
    if isinstance(annotation, ast.Constant):
        text = annotation.value
        return kinds(module, ast.parse(text, mode="eval").body) if isinstance(text, str) else [PLAIN["None"]]
    if isinstance(annotation, ast.BinOp):
        return [*kinds(module, annotation.left), *kinds(module, annotation.right)]
    if not isinstance(annotation, ast.Subscript):
        return _named(module, annotation)
    inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    match _last_word(annotation.value):
        case "Literal":
            values = tuple(map(ast.literal_eval, inner))
            return [
                Kind(", ".join(map(repr, values)), lambda x: (type(x), x) in [(type(v), v) for v in values], values)
            ]
        case "Optional" | "Union" as name:
            return [kind for part in inner for kind in kinds(module, part)] + [PLAIN["None"]] * (name == "Optional")
        case "Annotated":
            return [_within(kind, inner[1:]) for kind in kinds(module, inner[0])]
        case "tuple" | "Tuple" if ast.unparse(inner[-1]) != "...":
            places = [kinds(module, part) for part in inner]
            return [
                Kind(
                    f"a list [{', '.join(map(_words, places))}]",
                    lambda value: _is_list(value) and len(value) == len(places) and all(map(_fits, places, value)),
                )
            ]
        case name if name in LISTS:
            items = kinds(module, inner[0])
            words = f"a list of {_words(items)} each"
            return [Kind(words, lambda value: _is_list(value) and all(_fits(items, item) for item in value))]
        case name if name in MAPPINGS:  # components by name, or one component that is a mapping; null removes one
            parts = [*kinds(module, inner[-1]), PLAIN["None"]]
            words = f"several settings, NAME: {_words(parts[:-1])}"
            return [Kind(words, lambda value: _is_component(value) or _are_parts(parts, value))]
        case _:
            return _named(module, annotation.value)


def _named(module: Module, annotation: ast.expr) -> list[Kind]:
    """Return the alternatives of a name: a plain type, an alias, or a class, which takes a component."""
    name = _last_word(annotation)
    if name in PLAIN:
        return [PLAIN[name]]
    try:
        found = evaluate(module, annotation)
    except LookupError:
        return [Kind(name)]
    if isinstance(found, Alias) and found.expression is not annotation:
        return kinds(found.module, found.expression)
    if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
        words = "a component, with a `_target_`" if name == "Component" else name
        return [Kind(name) if WORDS & set(map(_last_word, found.node.bases)) else Kind(words, _is_component)]
    return [Kind(name)]


def _words(alternatives: list[Kind]) -> str:
    return " or ".join(kind.words for kind in alternatives)


def _within(kind: Kind, metadata: list[ast.expr]) -> Kind:
    """Return the kind, restricted by the `Range(...)` or `Square(...)` in its metadata, if there is one."""
    limits = [part for part in metadata if isinstance(part, ast.Call) and _last_word(part.func) in ("Range", "Square")]
    if not limits or kind == PLAIN["None"]:
        return kind
    make = {"Range": Range, "Square": Square}[_last_word(limits[0].func)]
    named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in limits[0].keywords}
    within: Any = make(*map(ast.literal_eval, limits[0].args), **named)
    return Kind(f"{kind.words} {within}".strip(), lambda value: kind.test(value) and value in within)


def _last_word(annotation: ast.expr) -> str:
    return ast.unparse(annotation).rpartition(".")[2]
