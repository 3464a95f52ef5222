"""The parameters of a component, read from its source without importing it, so that a typo is found before torch loads.

`parameters(definition)` are those of a class's constructor, dataclasses and inherited constructors included, or of a
function. This module does not know recipes.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from ganlab.config.sources import Definition, Module, evaluate

PLAIN_BASES = {"object", "ABC", "Protocol", "Generic"}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a constructor. Its annotation is evaluated in `module`."""

    module: Module
    annotation: ast.expr | None = None
    default: ast.expr | None = None


@dataclass
class Signature:
    """The parameters by name. `open` is True if any other keyword is accepted too."""

    parameters: dict[str, Parameter] = field(default_factory=dict)
    open: bool = False


def parameters(definition: Definition) -> Signature:
    """Return the parameters of the class's constructor or of the function, without `self`."""
    node = definition.node
    if not isinstance(node, ast.ClassDef):
        return _of_arguments(definition.module, node.args)
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            own = _of_arguments(definition.module, statement.args, skip=1)
            if not _passes_on(statement):
                return own
            inherited = _of_bases(definition.module, node)
            return Signature({**inherited.parameters, **own.parameters}, inherited.open)
    inherited = _of_bases(definition.module, node)
    if any("dataclass" in ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list):
        return Signature({**inherited.parameters, **_fields(definition.module, node)}, inherited.open)
    return inherited


def _of_arguments(module: Module, arguments: ast.arguments, skip: int = 0) -> Signature:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [*[None] * (len(positional) - len(arguments.defaults)), *arguments.defaults]
    pairs = [*zip(positional, defaults, strict=True)][skip:]
    pairs += [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    taken = {argument.arg: Parameter(module, argument.annotation, default) for argument, default in pairs}
    return Signature(taken, open=arguments.kwarg is not None)


def _passes_on(init: ast.FunctionDef) -> bool:
    """Return whether the constructor passes its other keywords to its base's."""
    return any(
        isinstance(call, ast.Call)
        and ast.unparse(call.func) == "super().__init__"
        and any(keyword.arg is None and ast.unparse(keyword.value) == init.args.kwarg.arg for keyword in call.keywords)
        for call in (ast.walk(init) if init.args.kwarg else ())
        if init.args.kwarg
    )


def _of_bases(module: Module, node: ast.ClassDef) -> Signature:
    """Return the first constructor among the bases; open if a base cannot be read."""
    for base in node.bases:
        expression = base.value if isinstance(base, ast.Subscript) else base
        if ast.unparse(expression).rpartition(".")[2] in PLAIN_BASES:
            continue
        try:
            found = evaluate(module, expression)
        except LookupError:
            return Signature(open=True)
        if not (isinstance(found, Definition) and isinstance(found.node, ast.ClassDef)):
            return Signature(open=True)
        signature = parameters(found)
        if signature.parameters or signature.open:
            return signature
    return Signature()


def _fields(module: Module, node: ast.ClassDef) -> dict[str, Parameter]:
    """Return the dataclass fields that the constructor takes."""
    return {
        statement.target.id: Parameter(module, statement.annotation, statement.value)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if "ClassVar" not in ast.unparse(statement.annotation)
        if not (statement.value and "init=False" in ast.unparse(statement.value))
    }
