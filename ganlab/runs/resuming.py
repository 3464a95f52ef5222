"""Resume a run: find its checkpoint, check that it fits, and repair files of its folder that a power cut left torn.

All checks come before the first change, so a refused resume leaves the folder unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ganlab.config.building import locate
from ganlab.config.checking import show
from ganlab.config.derived import leaves
from ganlab.config.described import described
from ganlab.config.recipe import OWN
from ganlab.console import say
from ganlab.core.checkpoints import make_fitting
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import DataSpec
from ganlab.errors import UserError
from ganlab.files.durable import atomic_write, sweep
from ganlab.files.metrics_file import as_text, columns_of, is_whole, read_rows
from ganlab.files.run_folder import AUTO, RunFolder, find_last

Recipe = Mapping[str, Any]

ABOUT = 4  # the most differing settings that a message names


def checkpoint_to_resume(recipe: Recipe) -> Path | None:
    """Return the checkpoint to resume from, or None if the run begins. Raise `UserError` if it cannot be found."""
    if not recipe.get("resume"):
        return None
    if recipe.get("init") and recipe["resume"] != AUTO:
        raise UserError("`init` starts a new run, and `resume` goes on with one: pass one of them")
    if recipe["resume"] != AUTO:
        return find_last(recipe["resume"])
    if not recipe.get("run_dir"):
        raise UserError("`resume=auto` goes on with the run in `run_dir`, if there is one: pass run_dir=FOLDER")
    folder = RunFolder(Path(recipe["run_dir"]))
    return folder.last() if folder.has_checkpoint() else None


def is_complete(recipe: Recipe, checkpoint: Path, done: int) -> bool:
    """Return whether `resume=auto` has nothing left to do. Raise `UserError` if any other resume has nothing left."""
    if not 0 <= recipe["trainer"].get("max_steps", -1) <= done:
        return False
    if recipe["resume"] == AUTO:
        return True
    raise UserError(f"`resume`: {checkpoint} has {done} iterations already: pass trainer.max_steps={2 * done}, say")


# Checks -----------------------------------------------------------------------------------------------------------


def resumed_module(recipe: Recipe, spec: DataSpec, content: Mapping[str, Any], file: Path) -> GenerativeModule:
    """Return the recipe's module if the checkpoint's weights fit it.

    Otherwise raise `UserError` that lists the differences from the run's own recipe and data.
    """
    try:
        module: GenerativeModule = make_fitting(recipe, spec, content["state_dict"], file)
    except UserError as error:
        changed = list(_differences(described(recipe), content["ganlab"]["recipe"]))
        also = f" (and {len(changed) - ABOUT} more)" if len(changed) > ABOUT else ""
        because = f"; what differs from its recipe: {', '.join(changed[:ABOUT])}{also}" if changed else ""
        raise UserError(f"`resume`: {error}{because}") from error
    _refuse_other_data(recipe, module.spec, DataSpec.from_plain(content["ganlab"]["spec"]))
    return module


def _refuse_other_data(recipe: Recipe, spec: DataSpec, stored: DataSpec) -> None:
    """Raise `UserError` if words or classes differ from the stored ones.

    A network sees them as numbers. Other words of the same count would fit its weights, but with another meaning.
    """
    told = {"class": ["classes"], "text": _read_facts(recipe)}.get(spec.kind, [])
    for name in ["shape", "kind", *told]:
        here, there = getattr(spec, name), getattr(stored, name)
        if here != there:
            raise UserError(
                f"`resume`: the data are not those of the run: {name} {_in_short(here)} here, {_in_short(there)} in "
                "its checkpoint; resume with the run's own data, or begin a new run"
            )


def tell_other_count(content: Mapping[str, Any], pictures: int) -> None:
    """Print a line if the data have more or fewer training pictures than they had when the checkpoint was saved."""
    before = content["ganlab"].get("pictures", 0) if content else 0
    if before and before != pictures:
        had = f"and had {before:,} before"
        say(f"ganlab: the data have {pictures:,} training pictures, {had}: the run goes on with these")


def _in_short(value: Any) -> str:
    value = tuple(value) if isinstance(value, Mapping) else value
    if isinstance(value, tuple) and len(value) > 3:
        return f"{len(value)} ({', '.join(map(str, value[:3]))}, ...)"
    return f"is {value}" if value else "has none"


def _read_facts(recipe: Recipe) -> Sequence[str]:
    """Return the facts of the data that the encoder of captions depends on."""
    node = recipe.get("condition")
    return () if node is None else locate(node["_target_"]).needs


def _differences(recipe: Recipe, stored: Recipe) -> Iterator[str]:
    """Yield the settings that differ from the run's own recipe, `latent_dim=7 (was 128)`, without derived ones."""
    here, there = _settings(recipe), _settings(stored)
    for place in dict.fromkeys([*here, *there]):
        if here.get(place) != there.get(place) and place not in recipe.get("derived", {}):
            yield f"{place}={show(here.get(place))} (was {show(there.get(place))})"


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's single values by their places. Classes are given by name, since they have several paths."""
    apart = (*OWN, "derived", "trainer", "callbacks", "logger")
    plain = {key: value for key, value in recipe.items() if key not in apart}
    return {
        place: str(value).rpartition(".")[2] if place.endswith("_target_") else value for place, value in leaves(plain)
    }


# Mending ----------------------------------------------------------------------------------------------------------


def mend(folder: RunFolder) -> None:
    """Delete temporary files and torn parts of metrics.csv and summary.json. Print a line on each."""
    if count := sweep(folder.path):
        say(f"ganlab: {folder.path}: deleted {count} temporary files of an interrupted write")
    if folder.metrics_file.exists() and not is_whole(folder.metrics_file):
        rows = read_rows(folder.metrics_file)
        atomic_write(folder.metrics_file, as_text(rows, columns_of(rows, ["iteration", "images_seen"]), header=True))
        say(f"ganlab: {folder.metrics_file} was damaged: its {len(rows)} whole rows remain")
    if folder.summary_file.exists() and not _is_json(folder.summary_file):
        folder.summary_file.unlink()
        say(f"ganlab: {folder.summary_file} was damaged, and is written anew when the run ends")


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return False
    return True
