"""A run in another place: the data of a stored recipe where the user says they are, or beside the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganlab.config.checking import check_settings
from ganlab.core.assembly import Recipe
from ganlab.core.checkpoints import load_module
from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError
from ganlab.files.run_folder import RunFolder, find_checkpoint
from ganlab.files.settings_file import read_value


def open_run(
    checkpoint: str, allow: Sequence[str] = (), data: Mapping[str, str] | None = None, needs_data: bool = True
) -> tuple[GenerativeModule, Path]:
    """Return the module of a run or a checkpoint file, and the file. See `load_module`.

    data: settings of the data in the words of a command line, `{"root": "/other/place"}`. needs_data: whether the
    data's part of the recipe is needed even without them.
    """
    file = find_checkpoint(checkpoint)
    module = load_module(file, allow, data=needs_data or bool(data))
    if "data" in module.recipe:
        module.recipe = {**module.recipe, "data": relocated(module.recipe, data or {}, RunFolder.of(file).path)}
    return module, file


def relocated(recipe: Recipe, said: Mapping[str, str], home: Path) -> dict[str, Any]:
    """Return the data's part of a recipe with the settings `said`.

    A relative `root` means a folder in the run's folder `home` if it is there, else one in the working folder. Raise
    `UserError` for a setting that the data do not have, or a wrong value.
    """
    node = dict(recipe["data"])
    root = node.get("root")
    if isinstance(root, str) and not Path(root).is_absolute() and (home / root).exists():
        node["root"] = str((home / root).absolute())
    values = {key: text if key == "root" else read_value(text) for key, text in said.items()}
    if "_target_" in values:
        raise UserError("`data._target_` is fixed by the checkpoint: only the settings of its data can be changed")
    check_settings(node["_target_"], values, "data")
    return {**node, **values}
