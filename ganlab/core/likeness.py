"""Comparison of a stored state with the state of a new object: the same structure and the same types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ganlab.errors import UserError


def check_like(template: Any, value: Any, where: str) -> None:
    """Raise `UserError` if a stored value differs in type from the new one. Missing keys are not checked.

    >>> check_like({"lr": 0.1, "betas": (0.5, 0.9)}, {"lr": 1, "betas": [0, 0.9]}, "it")
    >>> check_like({"lr": 0.1}, {"lr": "x"}, "it.groups")
    Traceback (most recent call last):
    ganlab.errors.UserError: it.groups.lr is a str, which it cannot be
    """
    if isinstance(template, Mapping) and isinstance(value, Mapping):
        for key in template.keys() & value.keys():
            check_like(template[key], value[key], f"{where}.{key}")
    elif isinstance(template, list | tuple) and isinstance(value, list | tuple) and len(template) == len(value):
        for index, (one, other) in enumerate(zip(template, value, strict=True)):
            check_like(one, other, f"{where}.{index}")
    elif not _same_kind(template, value):
        raise UserError(f"{where} is a {type(value).__name__}, which it cannot be")


def _same_kind(template: Any, value: Any) -> bool:
    if template is None or isinstance(template, bool):
        return value is None or isinstance(value, bool)
    if isinstance(template, int | float):
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, type(template)) and not isinstance(value, Mapping | list | tuple)
