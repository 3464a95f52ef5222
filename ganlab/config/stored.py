"""The recipe in a checkpoint or a run's folder: written without the command's settings, and read as untrusted data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganlab.config.catalog import base_recipe, catalog
from ganlab.config.command import BESIDE
from ganlab.config.derived import restored
from ganlab.config.trust import admitted, plain
from ganlab.files.run_folder import check_links, checked_name, saved_recipe

OWN = ("run_dir", "resume", "init", "init_parts", "allow", "ganlab")
"""Keys of a command that are not part of the recipe in a checkpoint."""

DERIVED = "derived"
"""The key of a composed recipe that lists which values follow which others."""


def trusted(path: str | Path, allow: Sequence[str] = (), said: Sequence[str] = ()) -> dict[str, Any]:
    """Return the recipe in a run's folder or checkpoint, with references for settings that follow others.

    `said`: groups and dotted settings that the command line sets. Raise `UserError` for content that is not allowed.
    """
    check_links(path)
    known = {*base_recipe(), *BESIDE, *catalog().groups()} - {*OWN}
    stored = saved_recipe(path)
    values = plain({key: value for key, value in stored.items() if key in known}, "the checkpoint's recipe")
    checked_name(values.get("recipe"), "recipe")
    judged = admitted({key: value for key, value in values.items() if key not in said}, allow, said)
    return restored(judged, values, stored.get(DERIVED, {}))
