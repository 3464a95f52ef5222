"""Read a command line of fit in one pass: options, a recipe, and settings in Hydra's form, all checked.

`recipe=NAME` becomes `--config-name NAME`. A dotted setting becomes `++key=value`, because the recipe need not contain
it. checking.py checks after composing whether the setting exists. A group gets the sign that it needs.
A second reading changes nothing: Lightning starts its other processes with these words. Hydra is not imported.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from ganlab.config.catalog import Catalog, base_recipe, catalog
from ganlab.config.checking import unknown
from ganlab.errors import UserError, nearest, suggestion

RESUMED = "_resumed_"
"""The name of a checkpoint's recipe when it is composed again."""

BESIDE = ("recipe", "variant")
"""The keys at the top of a recipe beside the base's keys and the groups."""

SETTING = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)+")
ASKING = {"config_path", "hydra_help", "info", "shell_completion", "version"}
"""Options of Hydra that need no recipe."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}: settings are written key=value, see --help")


def _parser() -> argparse.ArgumentParser:
    """Return a parser of Hydra's own options, which may be anywhere between the settings."""
    parser = _Parser(prog="ganlab.fit", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    for short, name in (("cn", "config-name"), ("cd", "config-dir"), ("cp", "config-path"), ("p", "package")):
        parser.add_argument(f"-{short}", f"--{name}")
    parser.add_argument("-c", "--cfg", choices=["job", "hydra", "all"])
    parser.add_argument("-i", "--info", nargs="?", const="all")
    for short, name in (("m", "multirun"), ("r", "run"), ("sc", "shell-completion")):
        parser.add_argument(f"-{short}", f"--{name}", action="store_true")
    for name in ("resolve", "hydra-help", "version"):
        parser.add_argument(f"--{name}", action="store_true")
    return parser


def split(override: str) -> tuple[str, str]:
    """Return the key and the value of an override."""
    key, _, value = override.partition("=")
    return key, value


def literal(key: str, value: object) -> str:
    """Return `key=value` with the value quoted, so that its commas, brackets and apostrophes are taken literally.

    >>> print(literal("data.root", "Anna's photos, new"))
    data.root='Anna\\'s photos, new'
    """
    escaped = str(value).replace("'", "\\'")
    return f"{key}='{escaped}'"


@dataclass(frozen=True)
class Command:
    """A parsed command line: the settings as Hydra takes them, and the options by name."""

    overrides: tuple[str, ...] = ()
    options: dict[str, str | bool] = field(default_factory=dict)

    @classmethod
    def read(cls, words: Sequence[str]) -> Command:
        """Return the command of these words. Raise `UserError` for the first that cannot be right."""
        given = vars(_parser().parse_intermixed_args(list(words)))
        overrides = tuple(given.pop("overrides"))
        if given["resolve"] and not given["cfg"]:
            raise UserError("`--resolve` goes with --cfg job: it prints the recipe with its references resolved")
        command = cls(overrides, {name: value for name, value in given.items() if value})._with_recipe()
        return replace(command, overrides=tuple(map(command._setting, command.overrides)))

    @property
    def recipe(self) -> str | None:
        """Return the name of the recipe, `RESUMED` for a checkpoint's, or None."""
        name = self.options.get("config_name")
        return str(name) if name else None

    @cached_property
    def catalog(self) -> Catalog:
        """Return the recipes and groups that the command can choose from."""
        folder = self.options.get("config_dir")
        return catalog(*([str(folder)] if folder else []))

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """Return the groups with their choices."""
        return self.catalog.groups()

    def value(self, key: str) -> str | None:
        """Return the text that the last override of a key gives it, or None."""
        return {name.lstrip("+"): value for name, value in map(split, self.overrides)}.get(key)

    def words(self) -> list[str]:
        """Return the command line again, options first."""
        options: list[str] = []
        for name, value in sorted(self.options.items()):
            options += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return [*options, *self.overrides]

    def _with_recipe(self) -> Command:
        """Return the command with `recipe=` as Hydra's option. It may be a file. `resume=` brings its own recipe."""
        for word in self.overrides:
            if "=" not in word and not word.startswith("~"):
                right = nearest(word, self.catalog.recipes())
                hint = f"did you mean `recipe={right}`?" if right else "see --help"
                raise UserError(f"`{word}` is not a setting: settings are written key=value; {hint}")
        named, resumes = self.value("recipe"), self.value("resume") not in (None, "", "null", "auto")
        rest = tuple(override for override in self.overrides if split(override)[0] != "recipe")
        if resumes and named is not None:
            raise UserError(
                "`recipe` cannot be chosen with `resume`: the checkpoint brings its own; leave recipe=... out"
            )
        if resumes:
            return replace(self, overrides=rest, options=self.options | {"config_name": RESUMED})
        options = self.options if named is None else self.options | {"config_name": named}
        if named is not None and named.endswith((".yaml", ".yml")):
            options |= {"config_dir": str(Path(named).parent), "config_name": Path(named).stem}
        command = replace(self, overrides=rest, options=options)
        command._check_recipe()
        return command

    def _check_recipe(self) -> None:
        folder = str(self.options.get("config_dir", "."))
        if not Path(folder).is_dir():
            raise UserError(f"`--config-dir` must be a folder, got {folder}")
        if twice := self.catalog.clashes():
            raise UserError(f"{twice[0]} has the name of one of ganlab's own: give it another")
        if self.recipe == RESUMED or self.options.keys() & ASKING:
            return
        known = list(self.catalog.recipes())
        if self.recipe is None:
            raise UserError("`recipe` is needed: pass recipe=cgan_text2img; `ganlab fit --help` lists them all")
        if "," in self.recipe:
            raise UserError(f"`recipe` is one recipe a command, got {self.recipe}: sweep over groups or settings")
        if self.recipe.removesuffix(".yaml") not in known:
            raise UserError(f"`recipe={self.recipe}` does not exist: {suggestion(self.recipe, known, 'recipe=')}")

    def _setting(self, override: str) -> str:
        """Return an override with the sign that Hydra needs. Raise `UserError` if it starts with no key of a recipe."""
        override = override.replace("init.parts=", "init_parts=", 1) if override.startswith("init.parts=") else override
        key, value = split(override)
        name = key.lstrip("+~").partition("@")[0]
        first = re.split(r"[./]", name)[0]
        known = [*base_recipe(), *(group for group in self.groups if "/" not in group), *BESIDE]
        if first == "hydra":
            return override
        if first not in known:
            raise UserError(unknown(first, known, "a recipe"))
        if name in self.groups:
            return self._choice(override, name, value)
        if first in self.groups and (place := self.catalog.place(first)) is not None:
            where = f"write {name.replace(first, place, 1)}={value}" if place else "--cfg job shows where they are"
            choices = "|".join(self.groups[first])
            raise UserError(f"`{name}` is not where the settings of {first}={choices} are: {where}")
        if isinstance(base_recipe().get(name), Mapping) and not value.startswith(("{", "null")):
            raise UserError(f"`{name}` is several settings: write {name}.NAME=...; --cfg job shows them")
        return f"++{override}" if SETTING.fullmatch(key) else override

    def _choice(self, override: str, group: str, value: str) -> str:
        """Return the override of a group. A checkpoint's recipe has no groups, so a group is added, not replaced."""
        words = re.findall(r"[\w.-]+", value) if re.fullmatch(r"[\w\s.,'\"\[\]-]*", value) and value != "null" else []
        for word in words:
            if word not in (*self.groups[group], "null"):
                right = nearest(word, self.groups[group])
                hint = f"did you mean `{group}={right}`? " if right else ""
                choices = ", ".join(self.groups[group])
                raise UserError(f"`{group}={word}` does not exist: {hint}`{group}` is one of {choices}, got {word}")
        if override.startswith(("+", "~")) or self.recipe is None:
            return override
        chosen = self.catalog.open_groups(self.recipe)
        if self.recipe == RESUMED or (group not in chosen and group in base_recipe()):
            return f"+{override}"
        if group not in chosen:
            has = ", ".join(sorted(chosen))
            raise UserError(f"`{group}` is not a part of recipe={self.recipe}, which has {has}")
        if value != "null":
            return override
        return f"{group}=[]" if isinstance(self.catalog.chosen("base").get(group), list) else f"~{group}"
