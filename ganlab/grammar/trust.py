"""What a checkpoint's recipe may name: opening somebody's checkpoint must not run somebody's code.

A list of what is allowed, not of what is not. A target counts by where it is defined, not by how it is spelled
(`ganlab.run.os.system` is Python's), and must be a class: functions and methods may do anything with what they get.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from ganlab.errors import UserError
from ganlab.grammar.sources import Definition, find

PLACES = (
    *(
        "ganlab.sides.",
        "ganlab.averaging.",
        "ganlab.objectives.",
        "ganlab.divergences.",
        "ganlab.regularizers.",
        "ganlab.constraints.",
    ),
    *(
        "ganlab.perturbations.",
        "ganlab.strategies.",
        "ganlab.schedules.",
        "ganlab.loggers.",
        "ganlab.dashboard.",
        "ganlab.callbacks.",
    ),
    *("ganlab.networks.", "ganlab.variants.", "ganlab.data.", "ganlab.metrics."),
    *("torch.optim.", "torch.nn.", "torchmetrics."),
    *("pytorch_lightning.trainer.", "pytorch_lightning.callbacks.", "pytorch_lightning.loggers."),
    *("pytorch_lightning.strategies.", "pytorch_lightning.plugins.", "pytorch_lightning.profilers."),
)
"""Where classes may come from."""

FUNCTIONS = tuple(f"ganlab.data.toy.{name}" for name in ("mixture", "ring", "grid", "two_gaussians"))
"""Functions that make plain values of plain values."""

WORDS = ("_target_", "_partial_")
"""The only keys with a leading underscore that a component may have."""


def refuse_untrusted(recipe: Any, allow: Sequence[str] = (), path: str = "") -> None:
    """Raises `UserError` for the first component that is not one of ganlab's, torch's or an allowed package's."""
    if isinstance(recipe, Mapping):
        for key, value in recipe.items():
            place = f"{path}.{key}" if path else str(key)
            if str(key).startswith("_") and key not in WORDS:
                raise UserError(f"`{place}` may not be in a checkpoint's recipe")
            if key == "_target_" and not is_trusted(value, allow):
                package = str(value).partition(".")[0]
                raise UserError(f"`{place}` in the checkpoint names {value}: pass allow=[{package}] if you trust it")
            refuse_untrusted(value, allow, place)
    elif isinstance(recipe, list | tuple):
        for index, value in enumerate(recipe):
            refuse_untrusted(value, allow, f"{path}.{index}")


def is_trusted(target: Any, allow: Sequence[str] = ()) -> bool:
    """Whether a dotted path may be built: a class defined in one of `PLACES`, or anything of an allowed package.

    >>> is_trusted("torch.optim.Adam"), is_trusted("torch.load"), is_trusted("ganlab.run.os.system")
    (True, False, False)
    """
    if not isinstance(target, str):
        return False
    if any(target.startswith(f"{package}.") for package in allow):
        return True
    if any(part.startswith("_") for part in target.split(".")):
        return False
    try:
        return _is_ours(find(target))
    except (LookupError, RecursionError):
        return False


def _is_ours(definition: Definition) -> bool:
    if definition.name in FUNCTIONS:
        return True
    return isinstance(definition.node, ast.ClassDef) and definition.name.startswith(PLACES)
