"""What a component takes, read from its source without importing it: a typo answers before torch is loaded.

`parameters(definition)` are those of a class's constructor, dataclasses and inherited constructors included, or of a
function. Knows nothing of recipes.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from ganlab.config.sources import Definition, Module, evaluate

PLAIN_BASES = {"object", "ABC", "Protocol", "Generic"}


@dataclass(frozen=True)
class Parameter:
    """One thing a constructor takes; the annotation is to be read in `module`."""

    module: Module
    annotation: ast.expr | None = None
    default: ast.expr | None = None


@dataclass
class Signature:
    """The parameters by name; `open` when any other keyword is taken too."""

    parameters: dict[str, Parameter] = field(default_factory=dict)
    open: bool = False


def parameters(definition: Definition) -> Signature:
    """What the class's constructor or the function takes, `self` left out."""
    if isinstance(definition.node, ast.ClassDef):
        return _of_class(definition, definition.node)
    return _of_function(definition.module, definition.node.args)


def _of_function(module: Module, arguments: ast.arguments, skip: int = 0) -> Signature:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [*[None] * (len(positional) - len(arguments.defaults)), *arguments.defaults]
    pairs = [*zip(positional, defaults, strict=True)][skip:]
    pairs += [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    taken = {argument.arg: Parameter(module, argument.annotation, default) for argument, default in pairs}
    return Signature(taken, open=arguments.kwarg is not None)


def _of_class(definition: Definition, node: ast.ClassDef) -> Signature:
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return _of_constructor(definition, node, statement)
    inherited = _of_bases(definition, node)
    return _of_dataclass(definition, node, inherited) if _is_dataclass(node) else inherited


def _of_constructor(definition: Definition, node: ast.ClassDef, init: ast.FunctionDef) -> Signature:
    own = _of_function(definition.module, init.args, skip=1)
    if init.args.kwarg is None or not _passes_on(init, init.args.kwarg.arg):
        return own
    inherited = _of_bases(definition, node)
    return Signature({**inherited.parameters, **own.parameters}, inherited.open)


def _passes_on(init: ast.FunctionDef, kwargs: str) -> bool:
    """Whether the constructor gives its other keywords to its base's."""
    calls = [call for call in ast.walk(init) if isinstance(call, ast.Call)]
    supers = [call for call in calls if ast.unparse(call.func) == "super().__init__"]
    return any(
        keyword.arg is None and isinstance(keyword.value, ast.Name) and keyword.value.id == kwargs
        for call in supers
        for keyword in call.keywords
    )


def _of_bases(definition: Definition, node: ast.ClassDef) -> Signature:
    """The first constructor among the bases; open where a base cannot be read."""
    for base in node.bases:
        expression = base.value if isinstance(base, ast.Subscript) else base
        if ast.unparse(expression).rpartition(".")[2] in PLAIN_BASES:
            continue
        try:
            found = evaluate(definition.module, expression)
        except LookupError:
            return Signature(open=True)
        if not (isinstance(found, Definition) and isinstance(found.node, ast.ClassDef)):
            return Signature(open=True)
        signature = _of_class(found, found.node)
        if signature.parameters or signature.open:
            return signature
    return Signature()


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list)


def _of_dataclass(definition: Definition, node: ast.ClassDef, inherited: Signature) -> Signature:
    fields = dict(inherited.parameters)
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and _is_field(statement):
            fields[statement.target.id] = Parameter(definition.module, statement.annotation, statement.value)
    return Signature(fields, inherited.open)


def _is_field(statement: ast.AnnAssign) -> bool:
    value = ast.unparse(statement.value) if statement.value else ""
    return "ClassVar" not in ast.unparse(statement.annotation) and "init=False" not in value
