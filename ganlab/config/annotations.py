"""What a type annotation takes of a plain value (number, word, list, mapping), read from its source.

Doubt counts as yes: only what is plainly wrong (a word for a number) is refused. Knows nothing of recipes.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ganlab.config.ranges import Range, Square
from ganlab.config.signatures import Parameter
from ganlab.config.sources import Alias, Definition, Module, evaluate

LISTS = {"list", "List", "Sequence", "Iterable", "Collection", "set", "frozenset", "tuple", "Tuple"}
MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping"}
COMPONENTS = {"Callable", "Tensor", "Module", "timedelta"}
ANYTHING = {"Any", "object", "Self", "type", "Type"}
LIMITS: dict[str, Callable[..., Any]] = {"Range": Range, "Square": Square}
ENUMS = {"Enum", "IntEnum", "StrEnum", "str", "int", "float"}


@dataclass(frozen=True)
class Kind:
    """One alternative of a type: its words, its test, and the values that it lists, if it lists any."""

    words: str
    test: Callable[[Any], bool] = lambda value: True
    choices: tuple[Any, ...] = ()


PLAIN = {
    "int": Kind("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": Kind("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    "bool": Kind("true or false", lambda value: isinstance(value, bool)),
    "str": Kind("text", lambda value: isinstance(value, str)),
    "Path": Kind("a path", lambda value: isinstance(value, str)),
    "None": Kind("null", lambda value: value is None),
}


def accepts(parameter: Parameter, value: Any) -> bool:
    """Return whether the parameter takes this value. True if it has no annotation that can be read."""
    default = parameter.default
    if value is None and isinstance(default, ast.Constant) and default.value is None:
        return True
    return any(kind.test(value) for kind in _of(parameter))


def choices(parameter: Parameter) -> list[Any]:
    """Return the values that the annotation lists: what a wrong one may have been meant to be."""
    return [choice for kind in _of(parameter) for choice in kind.choices]


def describe(parameter: Parameter) -> str:
    """Return the annotation in words: `a whole number of at least 1`, `a number or null`, `one of 'a', 'b'`."""
    listed = ", ".join(map(repr, choices(parameter)))
    words = [kind.words for kind in _of(parameter) if not kind.choices]
    return " or ".join(dict.fromkeys(([f"one of {listed}" if "," in listed else listed] if listed else []) + words))


def _of(parameter: Parameter) -> list[Kind]:
    return kinds(parameter.module, parameter.annotation) if parameter.annotation else [Kind("anything")]


def kinds(module: Module, annotation: ast.expr) -> list[Kind]:
    """Return the alternatives of an annotation; aliases are followed to where they are defined."""
    if isinstance(annotation, ast.Constant):
        text = annotation.value
        return kinds(module, ast.parse(text, mode="eval").body) if isinstance(text, str) else [PLAIN["None"]]
    if isinstance(annotation, ast.BinOp):
        return [*kinds(module, annotation.left), *kinds(module, annotation.right)]
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        return _of_subscript(module, _last_word(annotation.value), inner)
    return _of_name(module, annotation)


def _of_subscript(module: Module, name: str, inner: list[ast.expr]) -> list[Kind]:
    if name == "Literal":
        values = tuple(map(ast.literal_eval, inner))
        return [
            Kind(
                ", ".join(map(repr, values)),
                lambda value: any(value == v and type(value) is type(v) for v in values),
                values,
            )
        ]
    if name in ("Optional", "Union"):
        null = [PLAIN["None"]] if name == "Optional" else []
        return [kind for part in inner for kind in kinds(module, part)] + null
    if name == "Annotated":
        return [_within(kind, _limits(inner[1:])) for kind in kinds(module, inner[0])]
    if name in ("tuple", "Tuple") and not (isinstance(inner[-1], ast.Constant) and inner[-1].value is ...):
        return [_tuple([kinds(module, part) for part in inner])]
    if name in MAPPINGS:
        return [_mapping(kinds(module, inner[-1]))]
    return [_list(kinds(module, inner[0]))] if name in LISTS else _named(name)


def _of_name(module: Module, annotation: ast.expr) -> list[Kind]:
    name = _last_word(annotation)
    if name in PLAIN or name in LISTS or name in MAPPINGS or name in COMPONENTS:
        return _named(name)
    try:
        found = None if name in ANYTHING else evaluate(module, annotation)
    except LookupError:
        found = None
    if isinstance(found, Alias) and found.expression is not annotation:
        return kinds(found.module, found.expression)
    if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
        plain = any(_last_word(base) in ENUMS for base in found.node.bases)
        words = "a component, with a `_target_`" if name == "Component" else name
        return [Kind(name) if plain else Kind(words, _is_component)]
    return [Kind(name)]


def _named(name: str) -> list[Kind]:
    if name in LISTS:
        return [_list([Kind("anything")])]
    if name in MAPPINGS:
        return [Kind(name, lambda value: isinstance(value, Mapping))]
    return [PLAIN.get(name) or (Kind(name, _is_component) if name in COMPONENTS else Kind(name))]


def _is_component(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _list(items: list[Kind]) -> Kind:
    words = " or ".join(kind.words for kind in items)
    return Kind(
        "a list" if words == "anything" else f"a list of {words} each",
        lambda value: isinstance(value, list | tuple) and all(any(k.test(item) for k in items) for item in value),
    )


def _tuple(places: list[list[Kind]]) -> Kind:
    words = ", ".join(" or ".join(kind.words for kind in place) for place in places)
    return Kind(
        f"a list [{words}]",
        lambda value: (
            isinstance(value, list | tuple)
            and len(value) == len(places)
            and all(any(k.test(item) for k in place) for item, place in zip(value, places, strict=True))
        ),
    )


def _mapping(items: list[Kind]) -> Kind:
    """Components by name, or one component that is a mapping; null takes one away."""
    values = [*items, PLAIN["None"]]
    words = " or ".join(kind.words for kind in items)
    return Kind(
        f"several settings, NAME: {words}",
        lambda value: (
            isinstance(value, Mapping)
            and ("_target_" in value or all(any(k.test(item) for k in values) for item in value.values()))
        ),
    )


def _limits(metadata: list[ast.expr]) -> Any:
    """Return the first `Range(...)` or `Square(...)` beside a type; None if there is none."""
    for part in metadata:
        if isinstance(part, ast.Call) and (kind := LIMITS.get(_last_word(part.func))):
            named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in part.keywords}
            return kind(*map(ast.literal_eval, part.args), **named)
    return None


def _within(kind: Kind, limits: Any) -> Kind:
    if limits is None or kind == PLAIN["None"]:
        return kind
    return Kind(f"{kind.words} {limits}".strip(), lambda value: kind.test(value) and value in limits)


def _last_word(annotation: ast.expr) -> str:
    return ast.unparse(annotation).rpartition(".")[2]
