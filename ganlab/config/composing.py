"""Compose and check the recipes of a command with Hydra. No other module imports Hydra."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
from hydra.conf import HydraConf, RunDir, SweepDir
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ganlab.config.catalog import base_recipe, recipe_folder
from ganlab.config.checking import check, signature_of
from ganlab.config.command import BESIDE, RESUMED, Command, literal, split
from ganlab.config.derived import sources
from ganlab.config.sources import refresh
from ganlab.config.stored import DERIVED, trusted
from ganlab.config.words import OVERRIDES, folder_name, joined, label, settings, stored
from ganlab.console import from_here, say
from ganlab.errors import UserError
from ganlab.files.run_folder import AUTO, saved_recipe
from ganlab.files.sweep_folder import SweepFolder

Recipe = dict[str, Any]

HYDRAS = (HydraException, OmegaConfBaseException)
PARSER = OverridesParser.create()


def prepared(command: Command) -> Command:
    """Return the command in words that Hydra can parse, with Hydra's settings and a checkpoint's recipe in place."""
    quiet = {"job_logging": "disabled", "hydra_logging": "disabled"}
    defaults = [{key: quiet.get(key, value) for key, value in entry.items()} for entry in HydraConf().defaults]
    settings = HydraConf(
        defaults=defaults, run=RunDir("."), sweep=SweepDir(dir="runs/.sweep", subdir="."), output_subdir=None
    )
    ConfigStore.instance().store("config", settings, "hydra", provider="hydra")
    command = replace(command, overrides=tuple(map(_quoted, command.overrides)))
    return _resumed(command) if command.recipe == RESUMED else command


def composed(command: Command, overrides: Sequence[str]) -> Recipe:
    """Return the command's recipe with these overrides, checked. Raise `UserError`."""
    refresh()
    home, *others = sorted(
        command.catalog.folders, key=lambda folder: not (folder / f"{command.recipe}.yaml").is_file()
    )
    search = ",".join(f"'file://{folder.absolute()}'" for folder in others)
    with _errors(), hydra.initialize_config_dir(str(home.absolute()), version_base="1.3"):
        config = hydra.compose(command.recipe, [*overrides, *([f"hydra.searchpath=[{search}]"] if search else [])])
    return _finished(config, command, overrides)


def launch(function: Callable[[Recipe], Any], command: Command) -> SweepFolder | None:
    """Run the function on the command's recipe. Hydra runs sweeps, and answers its own options.

    Return the folder of a sweep, else None.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors, and we print each as one line
    sys.argv[1:] = command.words()
    single = not command.options.keys() - {"config_name", "config_dir"}
    if single and not any(override.lstrip("+~").startswith("hydra") for override in command.overrides):
        function(composed(command, command.overrides))
        return None
    for overrides in _jobs(command) if {"multirun", "cfg"} & command.options.keys() else ():
        composed(command, overrides)
    sweep = _sweep(command) if "multirun" in command.options and "cfg" not in command.options else None
    try:
        hydra.main(config_path=str(recipe_folder()), version_base="1.3")(_job(function, command, sweep))()
    except HYDRAS as error:
        raise UserError(_flat(error)) from error
    return sweep


def _finished(config: DictConfig, command: Command, overrides: Sequence[str]) -> Recipe:
    """Return a composed configuration as plain values, checked, with the words that it came from."""
    with _errors():
        recipe: Recipe = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        recipe.setdefault("recipe", command.recipe)
        _check_places(recipe, command)
        _drop_settings_of_other_data(recipe, overrides)
        derived = sources(OmegaConf.to_container(config, resolve=False), recipe)
        try:
            check(recipe, [*command.groups, *BESIDE])
        except UserError as error:  # name the other setting that it follows: the user typed that one
            if (source := derived.get(str(error).split("`")[1])) is None:
                raise
            raise UserError(f"{error} (it follows `{source}`)") from error
    before = recipe.get(OVERRIDES) or [f"recipe={_named(command, recipe)}"]
    return _with_absolute_paths(recipe) | {DERIVED: derived, OVERRIDES: joined([*before, *overrides])}


def _check_places(recipe: Recipe, command: Command) -> None:
    """Raise `UserError` if a choice of the user's put its settings at the name of a group that no component reads."""
    for group in command.groups:
        for file, place in command.catalog.misplaced(group) if group in recipe else ():
            raise UserError(f"{file} must begin with the line `# @package {place}`: it says where the settings belong")


def _drop_settings_of_other_data(recipe: Recipe, overrides: Sequence[str]) -> None:
    """Drop what the recipe's file says of its own data if the command chose other data that have no such setting."""
    said = {split(override)[0].lstrip("+") for override in overrides}
    data = recipe.get("data")
    if "data" not in said or not isinstance(data, dict) or "_target_" not in data:
        return
    signature = signature_of(data["_target_"], "data._target_")
    known = {*signature.parameters, "_target_", *(key.removeprefix("data.") for key in said)}
    recipe["data"] = data if signature.open else {key: value for key, value in data.items() if key in known}


def _named(command: Command, recipe: Recipe) -> str:
    """Return the recipe as it is named on a command line: a name, or a file."""
    folder = command.options.get("config_dir")
    return f"{folder}/{command.recipe}.yaml" if folder else str(recipe["recipe"])


PATHS = (("data", "root"), ("variant", "stage_one"), ("condition", "model"))
"""The settings that may be a path of the user's."""


def _with_absolute_paths(recipe: Recipe) -> Recipe:
    """Return the recipe with the paths that exist made absolute, so that it means the same in any working folder."""
    found = {}
    for part, name in PATHS:
        value = recipe[part].get(name) if isinstance(recipe.get(part), dict) else None
        if isinstance(value, str) and value and (path := Path(value).expanduser()).exists():
            found[part] = {**recipe[part], name: str(path.absolute())}
    return recipe | found


# Words ------------------------------------------------------------------------------------------------------------


def _quoted(override: str) -> str:
    """Return the override, its value quoted if Hydra's parser would reject it (brackets in a path)."""
    key, value = split(override)
    typed = override.lstrip("+")
    try:
        PARSER.parse_override(override)
        return override
    except HydraException as error:
        if value.startswith(("[", "{", '"', "'")):
            raise UserError(f"`{typed}` cannot be read: lists are [a,b], words with signs are quoted") from error
    try:
        PARSER.parse_override(literal(key, value))
    except HydraException as error:
        raise UserError(f"`{typed}` cannot be read: settings are written key=value, see --help") from error
    return literal(key, value)


def _resumed(command: Command) -> Command:
    """Store a checkpoint's recipe as one that Hydra can compose: chosen groups replace the nodes that it had."""
    said = [key.lstrip("+~") for key, _ in map(split, command.overrides)]
    path, allow = (None if (text := command.value(key)) is None else _value(text) for key in ("resume", "allow"))
    if not isinstance(allow, list | None):
        raise UserError(f"`allow` must be a list [a, b], got {allow}")
    kept = trusted(str(path), allow or [], [key for key in said if "." in key or key in command.groups])
    words = {OVERRIDES: stored(saved_recipe(str(path))) or [f"recipe={kept.get('recipe')}"]}
    ConfigStore.instance().store(name=RESUMED, node={**base_recipe(), **kept, **words})
    left_out = {f"+{group}=null" for group in command.groups}
    return replace(command, overrides=tuple(o for o in command.overrides if o not in left_out))


def _value(text: str) -> Any:
    """Return a value as Hydra reads it."""
    with _errors():
        return PARSER.parse_override(f"key={text}").value()


# Sweeps -----------------------------------------------------------------------------------------------------------


def _sweep(command: Command) -> SweepFolder | None:
    """Make the folder of a sweep. Return None if the words give each run a folder of its own."""
    chosen = command.value("run_dir")
    if chosen is not None and ("," in chosen or "${" in chosen):
        return None
    swept = [override.lstrip("+").partition("=")[0] for override in command.overrides if _is_swept(override)]
    recipe = str(command.recipe) if command.recipe != RESUMED else "resumed"
    return SweepFolder.start(recipe, None if chosen is None else str(_value(chosen)), command.words(), swept)


def _is_swept(override: str) -> bool:
    return PARSER.parse_override(override).is_sweep_override()


def _job(function: Callable[[Recipe], Any], command: Command, sweep: SweepFolder | None) -> Callable[[DictConfig], Any]:
    """Return the function for Hydra's configurations. Each job has its own words, environment and folder.

    Lightning repeats the words to start its other processes, and leaves ranks in the environment.
    """

    @functools.wraps(function)
    def job(config: DictConfig) -> Any:
        options = {name: value for name, value in command.options.items() if name != "multirun"}
        overrides = tuple(HydraConfig.get().overrides.task)
        sys.argv[1:] = Command(overrides, options).words()
        environment = dict(os.environ)
        try:
            recipe = _finished(config, command, overrides)
            return function(recipe if sweep is None else _placed(recipe, sweep, command, overrides))
        finally:
            os.environ.clear()
            os.environ.update(environment)

    return job


def _placed(recipe: Recipe, sweep: SweepFolder, command: Command, overrides: Sequence[str]) -> Recipe:
    """Return the job's recipe with a folder named by what is its own. Print which job it is."""
    number = HydraConfig.get().job.num
    own = settings(override for override in overrides if override not in command.overrides)
    folder = sweep.job(folder_name(own) or f"job-{number}", recipe.get("resume") == AUTO)
    say(f"ganlab: job {number}: {label(own) or 'the recipe as it is'} into {from_here(folder)}")
    return recipe | {"run_dir": str(folder)}


def _jobs(command: Command) -> Iterator[list[str]]:
    """Yield overrides that together try each value of a sweep once, without ranges that only a sweeper draws from."""
    if "multirun" not in command.options:
        yield list(command.overrides)
        return
    choices = [values for override in command.overrides if (values := _values(override))]
    for round_ in range(max(map(len, choices), default=1)):
        yield [values[min(round_, len(values) - 1)] for values in choices]


def _values(override: str) -> list[str]:
    parsed = PARSER.parse_override(override)
    if not parsed.is_sweep_override():
        return [override]
    values = parsed.sweep_string_iterator() if parsed.is_discrete_sweep() else ()
    return [f"{parsed.get_key_element()}={value}" for value in values]


# Errors -----------------------------------------------------------------------------------------------------------


@contextmanager
def _errors() -> Iterator[None]:
    """Turn any error into a `UserError`: Hydra and OmegaConf raise plain `ValueError`s, too."""
    try:
        yield
    except UserError:
        raise
    except HYDRAS as error:
        raise UserError(_flat(error)) from error
    except YAMLError as error:
        raise UserError(f"a file of settings is not YAML: {_flat(error)}") from error
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise UserError(f"the settings cannot be composed: {_flat(error)}") from error


def _flat(error: Exception) -> str:
    """Return the readable part of a library's message on one line."""
    text = str(error)
    if text.startswith("Ambiguous value for argument"):
        override = text.split("'", 2)[1].rstrip("'")
        return f"`{override}` has several values: add -m to run them all, write [a,b] for a list, or quote the whole"
    if brought := re.match(r"In '(\w+)/(\w+)': Could not override '(\w+)'", text):
        group, choice, other = brought.groups()
        return (
            f"`{group}={choice}` also chooses `{other}`, which is not open to choice here: a resumed run goes on with "
            "its own data; elsewhere, take a recipe that has it"
        )
    notes = ("full_key:", "object_type=", "reference_type=", "See ", "Set the environment")
    return " ".join(" ".join(line for line in text.splitlines() if not line.strip().startswith(notes)).split())
