"""Words -> a composed, checked recipe -> objects. The only file that imports Hydra.

`compose("recipe=vanilla", "seed=3")` gives the recipe as plain values, every setting checked without importing what
it names; `launch(function, words)` is the command line with all that Hydra can do (sweeps, launchers, --cfg job);
`build(node)` makes the object that a node names. A checkpoint's recipe may be somebody else's: `trusted` refuses what
it must not name.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
from hydra.conf import HydraConf, RunDir, SweepDir
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ganlab.config.arguments import RESUMED, Arguments, read, split
from ganlab.config.building import build, locate
from ganlab.config.catalog import base_recipe, catalog, recipe_folder, suggestion
from ganlab.config.checking import check, unknown
from ganlab.config.cli import errors_in_one_line
from ganlab.config.derived import restored, sources
from ganlab.config.trust import admitted, plain
from ganlab.errors import UserError
from ganlab.files.run_folder import check_links, checked_name, saved_recipe
from ganlab.files.settings_file import read_yaml

__all__ = ["Recipe", "build", "compose", "launch", "locate", "to_yaml", "trusted"]

Recipe = dict[str, Any]
"""A composed recipe: plain values, references resolved; components are mappings with a `_target_`."""

BESIDE = ("recipe", "variant")
"""What a recipe has at its top beside the base's keys and the groups."""

DERIVED = "derived"
"""Where a composed recipe says which of its values follow which others."""

OWN = ("run_dir", "resume", "allow", "ganlab")
"""What belongs to a command, not to the recipe that a checkpoint keeps."""


# Words -> recipe --------------------------------------------------------------------------------------------------


def compose(*words: str) -> Recipe:
    """The recipe of these words, written as on the command line, checked. Raises `UserError`."""
    arguments = _prepared(words)
    with one_line(), _words_at_fault():
        return _composed(arguments, arguments.overrides)


def to_yaml(recipe: Mapping[str, Any]) -> str:
    """A recipe's text for a run's folder, without what belonged to the command."""
    return OmegaConf.to_yaml(OmegaConf.create({key: value for key, value in recipe.items() if key not in OWN}))


def trusted(path: str | Path, allow: Sequence[str] = (), said: Sequence[str] = ()) -> Recipe:
    """Return the recipe in a run's folder or checkpoint, with references where a setting follows another.

    `said`: groups and dotted settings that the command line sets. Raise `UserError` for what may not be in it.
    """
    check_links(path)
    known = {*base_recipe(), *BESIDE, *Arguments().catalog.groups()} - {*OWN}
    stored = saved_recipe(path)
    values = plain({key: value for key, value in stored.items() if key in known}, "the checkpoint's recipe")
    checked_name(values.get("recipe"), "recipe")
    judged = admitted({key: value for key, value in values.items() if key not in said}, allow, said)
    return restored(judged, values, stored.get(DERIVED, {}))


def _prepared(words: Sequence[str]) -> Arguments:
    """The command line taken apart, its recipe and Hydra's settings in place, the groups' signs added."""
    with one_line():
        arguments = _quoted(read(words))
        _silence_hydra()
        _check_keys(arguments)
        return _store_resumed(arguments) if arguments.recipe == RESUMED else _with_added_groups(arguments)


def _quoted(arguments: Arguments) -> Arguments:
    """Values that Hydra's grammar does not take as they are (brackets in a path) taken as the words they are."""
    return replace(arguments, overrides=tuple(map(_quote, map(_without, arguments.overrides))))


def _without(override: str) -> str:
    """`logger=null` leaves a whole group out: `~logger` in Hydra's grammar, `regularizer=[]` for a list of choices."""
    key, value = split(override)
    if value != "null" or key not in catalog().groups():
        return override
    listed = {
        name
        for entry in read_yaml(recipe_folder() / "base.yaml")["defaults"]
        if isinstance(entry, Mapping)
        for name, choice in entry.items()
        if isinstance(choice, list)
    }
    return f"{key}=[]" if key in listed else f"~{key}"


def _quote(override: str) -> str:
    parser = OverridesParser.create()
    try:
        parser.parse_override(override)
        return override
    except HydraException as error:
        key, value = split(override)
        if value.startswith(("[", "{", '"', "'")):
            raise UserError(
                f"`{override.lstrip('+')}` cannot be read: lists are [a,b], words with signs are quoted"
            ) from error
    quoted = literal(key, value)
    try:
        parser.parse_override(quoted)
    except HydraException as error:
        raise UserError(
            f"`{override.lstrip('+')}` cannot be read: settings are written key=value, see --help"
        ) from error
    return quoted


def literal(key: str, value: object) -> str:
    """key=value, where the value is a word that is taken as it is, with all its commas, brackets and apostrophes.

    >>> print(literal("data.root", "Anna's photos, new"))
    data.root='Anna\\'s photos, new'
    """
    escaped = str(value).replace("'", "\\'")
    return f"{key}='{escaped}'"


def _check_keys(arguments: Arguments) -> None:
    """The first word of every key, before Hydra sees it."""
    groups = arguments.catalog.groups()
    known = [*base_recipe(), *(group for group in groups if "/" not in group), *BESIDE]
    for key, value in map(split, arguments.overrides):
        name = key.lstrip("+~").partition("@")[0]
        first = name.partition("/")[0].partition(".")[0]
        if first not in known and first != "hydra":
            raise UserError(unknown(first, known, "a recipe"))
        place = arguments.catalog.place(first) if first in groups and name != first else None
        if place is not None:
            where = f"write {name.replace(first, place, 1)}={value}" if place else "--cfg job shows where they are"
            raise UserError(f"`{name}` is not where the settings of {first}={'|'.join(groups[first])} are: {where}")
        if name in groups and value != "null" and not isinstance(choice := _choice(value), str | list):
            raise UserError(f"`{name}` is one of {', '.join(groups[name])}, got {choice}")
        if isinstance(base_recipe().get(name), Mapping) and name not in groups and not value.startswith(("{", "null")):
            raise UserError(f"`{name}` is several settings: write {name}.NAME=...; --cfg job shows them")


def _choice(text: str) -> Any:
    """What a group is told: a word, a list of words, or something else, which no choice can be."""
    override = OverridesParser.create().parse_override(f"group={text}")
    chosen = text if override.is_sweep_override() else override.value()
    wrong = [item for item in chosen if not isinstance(item, str)] if isinstance(chosen, list) else []
    return wrong[0] if wrong else chosen


def _store_resumed(arguments: Arguments) -> Arguments:
    """A checkpoint's recipe becomes one that Hydra can compose: what followed a setting follows it again, and chosen
    groups replace the nodes that it had."""
    chosen = {key.lstrip("+") for key, _ in map(split, arguments.overrides)} & arguments.catalog.groups().keys()
    allow = _parsed(arguments, "allow") or []
    if not isinstance(allow, list):
        raise UserError(f"`allow` must be a list [a, b], got {allow}")
    said = [key.lstrip("+~") for key, _ in map(split, arguments.overrides)]
    kept = trusted(str(_parsed(arguments, "resume")), allow, [key for key in said if "." in key or key in chosen])
    ConfigStore.instance().store(name=RESUMED, node={**base_recipe(), **kept})
    return replace(arguments, overrides=tuple(o for o in arguments.overrides if not _is_left_out(o, chosen)))


def _is_left_out(override: str, chosen: Set[str]) -> bool:
    key, value = split(override)
    return value == "null" and key.lstrip("+") in chosen


def _parsed(arguments: Arguments, key: str) -> Any:
    """The value of an override as Hydra reads it."""
    text = arguments.value(key)
    return None if text is None else OverridesParser.create().parse_override(f"{key}={text}").value()


def _with_added_groups(arguments: Arguments) -> Arguments:
    """A group of the base that the recipe's defaults do not choose from (`logger=wandb`) is added with Hydra's sign."""
    if arguments.recipe is None:
        return arguments
    groups, chosen = arguments.catalog.groups(), arguments.catalog.chosen_groups(arguments.recipe)
    added = [key for key in base_recipe() if key in groups and key not in chosen]
    overrides = (f"+{o}" if split(o)[0] in added else o for o in arguments.overrides)
    for key, _ in map(split, arguments.overrides):
        if key in groups and key not in chosen and key not in added:
            raise UserError(
                f"`{key}` is not a part of recipe={arguments.recipe}, which has {', '.join(sorted(chosen))}"
            )
    return replace(arguments, overrides=tuple(overrides))


def _composed(arguments: Arguments, overrides: Sequence[str]) -> Recipe:
    folders = arguments.catalog.folders
    home = next((folder for folder in folders if (folder / f"{arguments.recipe}.yaml").is_file()), folders[0])
    others = ",".join(f"'file://{folder.absolute()}'" for folder in folders if folder != home)
    with hydra.initialize_config_dir(str(home.absolute()), version_base="1.3"):
        config = hydra.compose(arguments.recipe, [*overrides, *([f"hydra.searchpath=[{others}]"] if others else [])])
    return _finished(config, arguments)


def _finished(config: DictConfig, arguments: Arguments) -> Recipe:
    """Plain values, checked."""
    with one_line():
        recipe: Recipe = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    recipe.setdefault("recipe", arguments.recipe)
    derived = sources(OmegaConf.to_container(config, resolve=False), recipe)
    with _source_named(derived):
        check(recipe, [*arguments.catalog.groups(), *BESIDE])
    return recipe | {DERIVED: derived}


@contextmanager
def _source_named(derived: Mapping[str, str]) -> Iterator[None]:
    """Add to an error about a setting that follows another the name of the other, which is what was typed."""
    try:
        yield
    except UserError as error:
        source = derived.get(str(error).split("`")[1])
        if source is None:
            raise
        raise UserError(f"{error} (it follows `{source}`)") from error


# The command line -------------------------------------------------------------------------------------------------


def launch(function: Callable[[Recipe], Any], words: Sequence[str]) -> None:
    """Runs the function on the words' recipe, or on each of a sweep's; all are checked before the first starts."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's errors come to us, and become a line
    arguments = _prepared(words)
    sys.argv[1:] = arguments.words()
    begun: list[Recipe] = []
    with one_line(), _words_at_fault(begun):
        if arguments.sweeps or arguments.options.get("cfg"):  # a single run is checked when it starts
            for overrides in _jobs(arguments):
                _composed(arguments, overrides)
        hydra.main(config_path=str(recipe_folder()), version_base="1.3")(_job(function, arguments, begun))()


def _job(function: Callable[[Recipe], Any], arguments: Arguments, begun: list[Recipe]) -> Callable[[DictConfig], Any]:
    """The function on a composed configuration; `begun` gets its recipe."""

    @functools.wraps(function)
    def job(config: DictConfig) -> Any:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            with _place_of_its_own(arguments):
                begun.append(_finished(config, arguments))
                return function(begun[-1])
        with errors_in_one_line():  # here, or Hydra adds a line of its own
            begun.append(_finished(config, arguments))
            return function(begun[-1])

    return job


@contextmanager
def _place_of_its_own(arguments: Arguments) -> Iterator[None]:
    """For a job of a sweep: its own words, and an environment in which no job before it has left its rank."""
    environment = dict(os.environ)
    sys.argv[1:] = _words_of_this_job(arguments)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)


def _words_of_this_job(arguments: Arguments) -> list[str]:
    """The words that start this one job of a sweep: what Lightning repeats to start its other processes."""
    options = {name: value for name, value in arguments.options.items() if name != "multirun"}
    return Arguments(tuple(HydraConfig.get().overrides.task), options).words()


def _jobs(arguments: Arguments) -> Iterator[list[str]]:
    """Overrides that together try every value of a sweep once. Ranges that only a sweeper draws from are left out."""
    if not arguments.sweeps:
        yield list(arguments.overrides)
        return
    choices = [values for override in arguments.overrides if (values := _values(override))]
    for round_ in range(max(map(len, choices), default=1)):
        yield [values[min(round_, len(values) - 1)] for values in choices]


def _values(override: str) -> list[str]:
    parsed = OverridesParser.create().parse_override(override)
    if not parsed.is_sweep_override():
        return [override]
    return (
        [f"{parsed.get_key_element()}={value}" for value in parsed.sweep_string_iterator()]
        if parsed.is_discrete_sweep()
        else []
    )


def _silence_hydra() -> None:
    """Hydra keeps no log, no copy of the recipe and no folder of its own; a sweep's bookkeeping is under runs/."""
    quiet = {"job_logging": "disabled", "hydra_logging": "disabled"}
    defaults = [{key: quiet.get(key, value) for key, value in entry.items()} for entry in HydraConf().defaults]
    settings = HydraConf(
        defaults=defaults, run=RunDir("."), sweep=SweepDir(dir="runs/.sweep", subdir="."), output_subdir=None
    )
    ConfigStore.instance().store(group="hydra", name="config", node=settings, provider="hydra")


# Errors -----------------------------------------------------------------------------------------------------------


@contextmanager
def one_line() -> Iterator[None]:
    """Hydra's and OmegaConf's errors as a `UserError` of one line."""
    try:
        yield
    except MissingConfigException as error:
        raise UserError(_no_such_choice(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_flat(error)) from error


@contextmanager
def _words_at_fault(begun: Sequence[Recipe] = ()) -> Iterator[None]:
    """Make a `UserError` of any error until a run has begun: Hydra and OmegaConf raise plain `ValueError`s, too."""
    try:
        yield
    except (UserError, HydraException, OmegaConfBaseException):
        raise
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        if begun:
            raise
        raise UserError(f"the settings cannot be composed: {_flat(error)}") from error


def _no_such_choice(error: MissingConfigException) -> str:
    group, slash, choice = (error.missing_cfg_file or "").rpartition("/")
    if not slash:
        return _flat(error)
    return f"`{group}={choice}` does not exist: {suggestion(choice, list(error.options or []), f'{group}=')}"


def _flat(error: Exception) -> str:
    """The part of a library's message that is for people, on one line."""
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
