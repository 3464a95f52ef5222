"""Refuse a composed recipe with a setting that its component does not take. Answered from sources: nothing is imported.

Each `_target_` must exist, each key beside it must be a parameter, each value must have its type and lie in its range.
A parameter without a value is no error: some are known only when the component is built. The message is one line and
names the nearest right word. Knows nothing of Hydra.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ganlab.config.annotations import accepts, choices, describe
from ganlab.config.catalog import nearest
from ganlab.config.signatures import Parameter, Signature, parameters
from ganlab.config.sources import Definition, Missing, find
from ganlab.config.stubs import STUBS
from ganlab.errors import UserError

Tree = Mapping[str, Any]

WORDS = {"_target_", "_partial_"}
"""Keys that say how to build, rather than what with."""

IMPLICIT = {"trainer": "pytorch_lightning.Trainer", "ganlab": "ganlab.config.stubs.Ganlab"}
"""What is built where a recipe does not say."""

NAMED = {"callbacks", "logger", "perturbations", "generator.regularizers", "discriminator.regularizers"}
"""Where components stand under names of the user's choice."""

ELSEWHERE = {
    "trainer.accumulate_grad_batches": "`generator.accumulate` and `discriminator.accumulate`",
    "trainer.gradient_clip_val": "`generator.clip` and `discriminator.clip`",
    "trainer.gradient_clip_algorithm": "`generator.clip` and `discriminator.clip` (of the norm)",
}
"""What Lightning takes but two players need one of each."""


def check(recipe: Tree, known: Sequence[str] = ()) -> None:
    """Raise `UserError` for the first setting that cannot be right. `known`: the groups, which may stand at the top."""
    top = parameters(find("ganlab.config.stubs.Recipe")).parameters
    for key in recipe:
        if key not in top and key not in known:
            raise UserError(unknown(key, [*top, *known], "a recipe"))
    for key, parameter in top.items():
        if key not in recipe and parameter.default is None:
            raise UserError(f"`{key}` is needed: every recipe has it; pass {key}=...")
        if key in recipe:
            _check_value(key, parameter, recipe[key])
    _walk("", {"trainer": recipe["trainer"], **recipe})  # others are told its numbers: name the source


def check_settings(target: str, settings: Tree, path: str = "") -> None:
    """Raise `UserError` for the first of a component's settings that it does not take, or not with this value."""
    signature = signature_of(target, f"{path}._target_" if path else "_target_")
    for key, value in settings.items():
        place = f"{path}.{key}" if path else key
        if place in ELSEWHERE:
            raise UserError(f"`{place}` is for one player: use {ELSEWHERE[place]} instead")
        if key in signature.parameters:
            _check_value(place, signature.parameters[key], value)
        elif key not in WORDS and not signature.open:
            raise UserError(unknown(place, _settings(signature), str(target)))


def _walk(path: str, value: Any) -> None:
    if isinstance(value, str) and value == "???":
        raise UserError(f"`{path}` is needed: pass {path}=...")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"`{path}` must be a finite number, got {value}")
    if isinstance(value, Mapping):
        if (path and "_target_" in value) or path in IMPLICIT:
            check_settings(value.get("_target_", IMPLICIT.get(path)), value, path)
        elif path in NAMED or (path and any(map(_is_component, value.values()))):
            _check_named(path, value)
    for key, inner in value.items() if isinstance(value, Mapping) else enumerate(_items(value)):
        _walk(f"{path}.{key}" if path else str(key), inner)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_component(node: Any) -> bool:
    return isinstance(node, Mapping) and "_target_" in node


def _check_named(path: str, value: Tree) -> None:
    """All that stands beside components must be one; null takes one away."""
    complete = [key for key, inner in value.items() if _is_component(inner)]
    for key, inner in value.items():
        if inner is not None and key not in complete:
            hint = f" ({_hint(key, complete, f'{path}.')})" if complete else ""
            raise UserError(f"`{path}.{key}` is not a component: it has no `_target_`{hint}")


# Components -------------------------------------------------------------------------------------------------------


def signature_of(target: Any, path: str) -> Signature:
    """Return what a target takes, narrowed by its stub; open if its source does not tell. `UserError` if it is none."""
    definition = locate(target, path)
    signature = parameters(definition) if definition else Signature(open=True)
    narrower = {key: p for key, p in _stub(target).items() if key in signature.parameters}
    return Signature({**signature.parameters, **narrower}, signature.open)


@cache
def _stub(target: str) -> dict[str, Parameter]:
    for place, stub in STUBS.items():
        if target == place or (place.endswith(".") and target.startswith(place)):
            return parameters(find(stub)).parameters
    return {}


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
