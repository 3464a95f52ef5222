"""Is every setting of a composed recipe one that its component takes? Answered from sources: nothing is imported.

Each `_target_` must exist, each key beside it must be a parameter, each value must be able to have its type. What is
not given is no error: some parameters are known only when the component is built. The message is one line and names
the nearest right word. Knows nothing of Hydra.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ganlab.errors import UserError
from ganlab.grammar.annotations import accepts, choices, describe
from ganlab.grammar.catalog import nearest
from ganlab.grammar.signatures import Parameter, Signature, parameters
from ganlab.grammar.sources import Definition, Missing, find

Tree = Mapping[str, Any]

WORDS = {"_target_", "_partial_"}
"""Keys that say how to build, rather than what with."""

IMPLICIT = {"trainer": "pytorch_lightning.Trainer"}
"""What is built where a recipe does not say."""

ELSEWHERE = {
    "trainer.accumulate_grad_batches": "`generator.accumulate` and `discriminator.accumulate`",
    "trainer.gradient_clip_val": "`generator.clip` and `discriminator.clip`",
    "trainer.gradient_clip_algorithm": "`generator.clip` and `discriminator.clip` (of the norm)",
}
"""What Lightning takes but two players need one of each."""


def check(recipe: Tree, base: Tree, groups: Sequence[str] = ()) -> None:
    """Raises `UserError` for the first setting that cannot be right.

    `base` is what every recipe starts from: its keys and the groups' names are all that may be at the top, and its
    values show the type of those that no component takes.
    """
    known = [*base, *(group for group in groups if group not in base)]
    for key, value in recipe.items():
        if key not in known:
            raise UserError(unknown(key, known, "a recipe"))
        _check_like(key, value, base.get(key))
    first = {key: recipe[key] for key in ("trainer",) if key in recipe}  # others are told its numbers: name the source
    _walk("", {**first, **recipe})


def _check_like(path: str, value: Any, example: Any) -> None:
    """A setting of no component must be of the type that it has in the base recipe; a number may be a component."""
    if isinstance(example, Mapping) and "_target_" not in example and not isinstance(value, Mapping):
        raise UserError(f"`{path}` must be several settings ({path}.name=...), got {show(value)}")
    if isinstance(example, Mapping) and isinstance(value, Mapping):
        return _check_inside(path, value, example)
    if isinstance(example, float) and isinstance(value, Mapping) and "_target_" in value:
        return None  # a schedule, perhaps: `_walk` checks it, there and in the components that it goes to
    allowed = _type_of(example)
    if allowed and not (isinstance(value, allowed[0]) and (not isinstance(value, bool) or allowed[0] is bool)):
        raise UserError(f"`{path}` must be {allowed[1]}, got {show(value)}")
    return None


def _check_inside(path: str, value: Tree, example: Tree) -> None:
    if not example:
        return _check_named(path, value)
    if "_target_" in example or path in IMPLICIT or _names_components(example):
        return None
    for key, inner in value.items():
        if key not in example and "_target_" not in value:
            raise UserError(unknown(f"{path}.{key}", list(example), f"`{path}`"))
        _check_like(f"{path}.{key}", inner, example.get(key))
    return None


def _names_components(value: Any) -> bool:
    """Whether components stand in a mapping under names of the user's choice, as callbacks and loggers do."""
    inner = value.values() if isinstance(value, Mapping) and "_target_" not in value else ()
    return any(isinstance(node, Mapping) and "_target_" in node for node in inner)


def _check_named(path: str, value: Tree) -> None:
    """All that stands beside components must be one; null takes one away."""
    complete = [key for key, inner in value.items() if isinstance(inner, Mapping) and "_target_" in inner]
    for key, inner in value.items():
        if inner is not None and key not in complete and "_target_" not in value:
            hint = f" ({_hint(key, complete, f'{path}.')})" if complete else ""
            raise UserError(f"`{path}.{key}` is not a component: it has no `_target_`{hint}")


def _type_of(example: Any) -> tuple[Any, str] | None:
    kinds = {bool: (bool, "true or false"), int: (int, "a whole number"), float: ((int, float), "a number")}
    return {**kinds, str: (str, "a word"), list: (list, "a list [a, b]")}.get(type(example))


# Components -------------------------------------------------------------------------------------------------------


def _walk(path: str, value: Any) -> None:
    if value == "???":
        raise UserError(f"`{path}` is needed: pass {path}=...")
    if isinstance(value, Mapping):
        if target := value.get("_target_", IMPLICIT.get(path)):
            _check_component(path, target, value)
        elif path and _names_components(value):
            _check_named(path, value)
        for key, inner in value.items():
            _walk(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _walk(f"{path}.{index}", inner)


def _check_component(path: str, target: Any, node: Tree) -> None:
    definition = locate(target, f"{path}._target_")
    signature = parameters(definition) if definition else Signature(open=True)
    for key, value in node.items():
        place = f"{path}.{key}"
        if place in ELSEWHERE:
            raise UserError(f"`{place}` is for one player: use {ELSEWHERE[place]} instead")
        if key in signature.parameters:
            _check_value(place, signature.parameters[key], value)
        elif key not in WORDS and not signature.open:
            raise UserError(unknown(place, _settings(signature), str(target)))


def _settings(signature: Signature) -> list[str]:
    return [name for name in signature.parameters if not name.startswith("_")]


def _check_value(path: str, parameter: Parameter, value: Any) -> None:
    if value != "???" and not accepts(parameter, value):
        raise UserError(f"`{path}` must be {describe(parameter)}, got {show(value)}{_meant(parameter, value)}")


def _meant(parameter: Parameter, value: Any) -> str:
    """What a wrong value may have been meant to be: the whole number that it is, the nearest of a list of words."""
    if isinstance(value, float) and value.is_integer() and accepts(parameter, int(value)):
        return f": write {int(value)}"
    right = nearest(str(value), [word for word in choices(parameter) if isinstance(word, str)])
    return f": did you mean {right!r}?" if right else ""


def locate(target: Any, path: str) -> Definition | None:
    """The definition that a `_target_` names; nothing where its source does not tell. Raises `UserError`."""
    if not isinstance(target, str) or not target:
        raise UserError(f"`{path}` must be a dotted path such as torch.optim.Adam, got {show(target)}")
    try:
        return find(target)
    except Missing as missing:
        prefix = target.rpartition(".")[0] + "." if missing.words else ""
        raise UserError(f"`{path}` {target}: {missing}; {_hint(missing.name, missing.words, prefix)}") from missing
    except (LookupError, RecursionError):
        return None


# Words ------------------------------------------------------------------------------------------------------------


def unknown(path: str, words: Sequence[str], owner: str) -> str:
    """What to say of a setting that there is not."""
    parent, dot, key = path.rpartition(".")
    return f"`{path}` is not a setting of {owner}: {_hint(key, words, parent + dot)}"


def _hint(key: str, words: Sequence[str], prefix: str) -> str:
    if right := nearest(key, words):
        return f"did you mean `{prefix}{right}`?"
    return f"there are {', '.join(words)}" if words else "there are none"


def show(value: Any) -> str:
    """A value as a message shows it: short, on one line."""
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
