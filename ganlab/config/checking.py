"""Refuse a composed recipe with a setting that its component does not take. Source files are read, nothing is imported.

Each `_target_` must exist, each key beside it must be a parameter, each value must have its type and be in its range.
A parameter without a value is no error: some are known only when the component is built. The message is one line and
names the nearest right word. This module does not use Hydra.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ganlab.config.annotations import accepts, choices, describe
from ganlab.config.signatures import Parameter, Signature, parameters
from ganlab.config.sources import Definition, Missing, find
from ganlab.config.stubs import STUBS
from ganlab.errors import UserError, nearest

Tree = Mapping[str, Any]

WORDS = {"_target_", "_partial_"}
"""Keys that control how a component is built. They are no settings of the component."""

IMPLICIT = {"trainer": "pytorch_lightning.Trainer", "ganlab": "ganlab.config.stubs.Ganlab"}
"""The component at a place that names no target."""

NAMED = {"callbacks", "logger", "perturbations", "generator.regularizers", "discriminator.regularizers"}
"""The places of components under names that the user chooses."""

ELSEWHERE = {
    "trainer.accumulate_grad_batches": "`generator.accumulate` and `discriminator.accumulate`",
    "trainer.gradient_clip_val": "`generator.clip` and `discriminator.clip`",
    "trainer.gradient_clip_algorithm": "`generator.clip` and `discriminator.clip` (of the norm)",
}
"""Settings that Lightning takes once, but a game of two players needs twice."""


def check(recipe: Tree, known: Sequence[str] = ()) -> None:
    """Raise `UserError` for the first setting that cannot be right. `known`: the groups, which may be at the top."""
    top = parameters(find("ganlab.config.stubs.Recipe")).parameters
    for key in recipe:
        if key not in top and key not in known:
            raise UserError(unknown(key, [*top, *known], "a recipe"))
    for key, parameter in top.items():
        if key in recipe:
            _check_value(key, parameter, recipe[key])
        elif parameter.default is None:
            raise UserError(f"`{key}` is needed: every recipe has it; pass {key}=...")
    _walk("", {"trainer": recipe["trainer"], **recipe})  # other settings follow its numbers: name the source


def check_settings(target: str, settings: Tree, path: str = "") -> None:
    """Raise `UserError` for the first of a component's settings that has an unknown name or a wrong value."""
    signature = signature_of(target, f"{path}._target_".lstrip("."))
    for key, value in settings.items():
        place = f"{path}.{key}".lstrip(".")
        if place in ELSEWHERE:
            raise UserError(f"`{place}` is for one player: use {ELSEWHERE[place]} instead")
        if key in signature.parameters:
            _check_value(place, signature.parameters[key], value)
        elif key not in WORDS and not signature.open:
            raise UserError(unknown(place, [n for n in signature.parameters if not n.startswith("_")], str(target)))


def _walk(path: str, value: Any) -> None:
    """Check all components of a tree, each before its parts."""
    if isinstance(value, str) and value == "???":
        raise UserError(f"`{path}` is needed: pass {path}=...")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"`{path}` must be a finite number, got {value}")
    if isinstance(value, Mapping):
        components = [key for key, one in value.items() if isinstance(one, Mapping) and "_target_" in one]
        if (path and "_target_" in value) or path in IMPLICIT:
            check_settings(value.get("_target_", IMPLICIT.get(path)), value, path)
        elif path in NAMED or (path and components):
            _check_named(path, value, components)
    inside = value.items() if isinstance(value, Mapping) else enumerate(value if isinstance(value, list) else ())
    for key, one in inside:
        _walk(f"{path}.{key}".lstrip("."), one)


def _check_named(path: str, value: Tree, components: Sequence[str]) -> None:
    """Raise `UserError` for a value that is no component in a mapping of components. Null removes a component."""
    for key, one in value.items():
        if one is not None and key not in components:
            hint = f" ({_hint(key, components, f'{path}.')})" if components else ""
            raise UserError(f"`{path}.{key}` is not a component: it has no `_target_`{hint}")


def _check_value(path: str, parameter: Parameter, value: Any) -> None:
    if value == "???" or accepts(parameter, value):
        return
    right = nearest(str(value), [word for word in choices(parameter) if isinstance(word, str)])
    meant = f": did you mean {right!r}?" if right else ""
    if isinstance(value, float) and value.is_integer() and accepts(parameter, int(value)):
        meant = f": write {int(value)}"
    raise UserError(f"`{path}` must be {describe(parameter)}, got {show(value)}{meant}")


# Components -------------------------------------------------------------------------------------------------------


def signature_of(target: Any, path: str) -> Signature:
    """Return the parameters of a target, narrowed by its stub; open if its source does not tell.

    Raise `UserError` if it is no component.
    """
    definition = definition_of(target, path)
    signature = parameters(definition) if definition else Signature(open=True)
    narrower = {key: p for key, p in _stub(target).items() if key in signature.parameters}
    return Signature({**signature.parameters, **narrower}, signature.open)


def definition_of(target: Any, path: str) -> Definition | None:
    """Return the definition that a `_target_` names, None if its source does not tell. Raise `UserError`."""
    if not isinstance(target, str) or not target:
        raise UserError(f"`{path}` must be a dotted path such as torch.optim.Adam, got {show(target)}")
    try:
        return find(target)
    except Missing as missing:
        prefix = f"{missing.inside}." if missing.inside else ""
        raise UserError(f"`{path}` {target}: {missing}; {_hint(missing.name, missing.words, prefix)}") from missing
    except (LookupError, RecursionError):
        return None


@cache
def _stub(target: str) -> dict[str, Parameter]:
    for place, stub in STUBS.items():
        if target == place or (place.endswith(".") and target.startswith(place)):
            return parameters(find(stub)).parameters
    return {}


# Words ------------------------------------------------------------------------------------------------------------


def unknown(path: str, words: Sequence[str], owner: str) -> str:
    """Return the message about a setting that does not exist."""
    parent, dot, key = path.rpartition(".")
    return f"`{path}` is not a setting of {owner}: {_hint(key, words, parent + dot)}"


def _hint(key: str, words: Sequence[str], prefix: str) -> str:
    right = nearest(key, words)
    return f"did you mean `{prefix}{right}`?" if right else f"there are {', '.join(words) or 'none'}"


def show(value: Any) -> str:
    """Return a value as a message shows it: short, on one line."""
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
