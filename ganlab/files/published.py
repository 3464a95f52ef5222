"""The files of a published model, and its description. Nothing heavy is imported.

folder/{model.safetensors, config.json, README.md, samples.png}
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from ganlab.errors import UserError

MODEL_FILE, CONFIG_FILE, CARD_FILE, SAMPLES_FILE = "model.safetensors", "config.json", "README.md", "samples.png"
FORMAT = 1
LARGEST_CONFIG = 2**24  # bytes: 100,000 words of a vocabulary, several times


def is_published(folder: Path) -> bool:
    """Return whether a path is the folder of a published model."""
    return (folder / MODEL_FILE).is_file() and (folder / CONFIG_FILE).is_file()


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of a published model's `config.json`. Raise `UserError` if it is not one."""
    file = folder / CONFIG_FILE
    if not is_regular(file) or file.stat().st_size > LARGEST_CONFIG:
        raise UserError(f"{file} must be a file of at most {LARGEST_CONFIG} bytes: it describes {MODEL_FILE}")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is no JSON") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise UserError(f"{file} was not written by ganlab.export: `format` must be {FORMAT}")
    return config


def is_regular(file: Path) -> bool:
    """Return whether a path, or what a link leads to, is a regular file."""
    return file.exists() and stat.S_ISREG(file.stat().st_mode)
