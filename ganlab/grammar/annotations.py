"""Whether a plain value (number, word, list, mapping) can be what a type annotation asks for, read from its source.

Doubt counts as yes: only what is plainly wrong (a word for a number) is refused. Knows nothing of recipes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from ganlab.grammar.signatures import Parameter
from ganlab.grammar.sources import Alias, Definition, Module, evaluate

LISTS = {"list", "List", "Sequence", "Iterable", "Collection", "set", "Set", "MutableSequence", "frozenset"}
MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping"}
PATHS = {"Path", "PathLike", "PurePath"}
OBJECTS = {"Callable", "Tensor", "Module", "timedelta"}
PLAIN = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "None": "null"}
ANYTHING = {"Any", "object", "TypeVar", "Self", "type", "Type"}


def accepts(parameter: Parameter, value: Any) -> bool:
    """Whether the parameter can be given this value; always, where it has no annotation that can be read."""
    if parameter.annotation is None:
        return True
    if value is None and isinstance(parameter.default, ast.Constant) and parameter.default.value is None:
        return True
    return fits(parameter.module, parameter.annotation, value)


def fits(module: Module, annotation: ast.expr, value: Any) -> bool:
    """Whether the value can be of the annotated type."""
    if isinstance(annotation, ast.Constant):
        return _fits_constant(module, annotation.value, value)
    if isinstance(annotation, ast.BinOp):
        return fits(module, annotation.left, value) or fits(module, annotation.right, value)
    if isinstance(annotation, ast.Subscript):
        return _fits_subscript(module, annotation, value)
    return _fits_name(module, annotation, value)


def _fits_constant(module: Module, constant: object, value: Any) -> bool:
    """`None`, or an annotation written as a string."""
    if isinstance(constant, str):
        return fits(module, ast.parse(constant, mode="eval").body, value)
    return value is None if constant is None else True


def _fits_name(module: Module, annotation: ast.expr, value: Any) -> bool:
    name = _last_word(annotation)
    if name in ANYTHING:
        return True
    if name in ("int", "float", "bool", "str", "bytes", "None", "complex"):
        return _fits_builtin(name, value)
    if name in LISTS or name in ("tuple", "Tuple"):
        return isinstance(value, Sequence) and not isinstance(value, str)
    if name in PATHS:
        return isinstance(value, str)
    if name in MAPPINGS or name in OBJECTS:
        return isinstance(value, Mapping)
    return _fits_elsewhere(module, annotation, value)


def _fits_builtin(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return name == "bool"
    kinds = {"int": int, "float": (int, float), "str": str, "None": type(None), "complex": (int, float)}
    return isinstance(value, kinds.get(name, ()))  # type: ignore[arg-type]


def _fits_elsewhere(module: Module, annotation: ast.expr, value: Any) -> bool:
    """A name defined in the source: an alias of another annotation, or a class, which only a component can be."""
    try:
        found = evaluate(module, annotation)
    except LookupError:
        return True
    if isinstance(found, Alias):
        return found.expression is annotation or fits(found.module, found.expression, value)
    if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
        plain = any(
            _last_word(base) in ("Enum", "IntEnum", "StrEnum", "str", "int", "float") for base in found.node.bases
        )
        return plain or isinstance(value, Mapping)
    return True


def _fits_subscript(module: Module, annotation: ast.Subscript, value: Any) -> bool:
    name = _last_word(annotation.value)
    inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    if name == "Optional":
        return value is None or fits(module, inner[0], value)
    if name == "Union":
        return any(fits(module, part, value) for part in inner)
    if name == "Literal":
        return value in literal_values(annotation)
    if name in ("Annotated", "Final"):
        return fits(module, inner[0], value)
    if name in ("tuple", "Tuple"):
        return _fits_tuple(module, inner, value)
    if name in LISTS:
        return _fits_name(module, annotation.value, value) and all(fits(module, inner[0], item) for item in value)
    if name in MAPPINGS:
        return isinstance(value, Mapping) and _fits_values(module, inner[-1], value)
    return True if name in ANYTHING else _fits_name(module, annotation.value, value)


def _fits_tuple(module: Module, inner: Sequence[ast.expr], value: Any) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return False
    if isinstance(inner[-1], ast.Constant) and inner[-1].value is ...:
        return all(fits(module, inner[0], item) for item in value)
    return len(inner) == len(value) and all(fits(module, *pair) for pair in zip(inner, value, strict=True))


def _fits_values(module: Module, annotation: ast.expr, value: Mapping[Any, Any]) -> bool:
    return "_target_" in value or all(item is None or fits(module, annotation, item) for item in value.values())


def literal_values(annotation: ast.Subscript) -> list[Any]:
    inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    return [part.value for part in inner if isinstance(part, ast.Constant)]


def choices(parameter: Parameter) -> list[Any]:
    """The words that an annotation lists, where it lists any: what a wrong one may have been meant to be."""
    return _choices(parameter.module, parameter.annotation) if parameter.annotation else []


def _choices(module: Module, annotation: ast.expr) -> list[Any]:
    if isinstance(annotation, ast.BinOp):
        return [*_choices(module, annotation.left), *_choices(module, annotation.right)]
    if isinstance(annotation, ast.Subscript):
        return _choices_of_subscript(module, annotation)
    try:
        found = evaluate(module, annotation)
    except LookupError:
        return []
    if not isinstance(found, Alias) or found.expression is annotation:
        return []
    return _choices(found.module, found.expression)


def _choices_of_subscript(module: Module, annotation: ast.Subscript) -> list[Any]:
    name = _last_word(annotation.value)
    if name == "Literal":
        return literal_values(annotation)
    inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    return [word for part in inner for word in _choices(module, part)] if name in ("Optional", "Union") else []


def describe(parameter: Parameter) -> str:
    """The annotation in words: `a whole number`, `a number or null`, `one of 'a', 'b'`."""
    return _words(parameter.module, parameter.annotation) if parameter.annotation else "anything"


def _words(module: Module, annotation: ast.expr) -> str:
    if isinstance(annotation, ast.Constant):
        text = annotation.value
        return _words(module, ast.parse(text, mode="eval").body) if isinstance(text, str) else "null"
    if isinstance(annotation, ast.BinOp):
        return f"{_words(module, annotation.left)} or {_words(module, annotation.right)}"
    if isinstance(annotation, ast.Subscript):
        return _words_of_subscript(module, annotation)
    name = _last_word(annotation)
    try:
        found = None if name in PLAIN else evaluate(module, annotation)
    except LookupError:
        found = None
    return _words(found.module, found.expression) if isinstance(found, Alias) else PLAIN.get(name, name)


def _words_of_subscript(module: Module, annotation: ast.Subscript) -> str:
    name = _last_word(annotation.value)
    inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    if name == "Optional":
        return f"{_words(module, inner[0])} or null"
    if name == "Union":
        return " or ".join(_words(module, part) for part in inner)
    if name == "Literal":
        return "one of " + ", ".join(repr(value) for value in literal_values(annotation))
    return ast.unparse(annotation)


def _last_word(annotation: ast.expr) -> str:
    return ast.unparse(annotation).rpartition(".")[2]
