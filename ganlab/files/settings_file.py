"""Read a YAML file of settings. Imports nothing heavy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ganlab.errors import UserError


class _Loader(yaml.SafeLoader):
    """A YAML loader that reads 2e-4 as a number, as YAML 1.2 and Hydra do. PyYAML reads it as a word."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a file's settings. Raise `UserError` if it is not a YAML file of settings."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold settings `key: value`, got {type(values).__name__}")
    return values


def read_value(text: str) -> Any:
    """Return the value that a word of a command line means, as YAML reads it. Raise `UserError` if it means none."""
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{text} is no value: words with signs are quoted") from error
