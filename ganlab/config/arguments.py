"""What a person types after `python -m ganlab.fit`, rewritten into what Hydra reads.

`recipe=NAME` becomes `--config-name NAME`; a dotted setting becomes `++key=value`, so that one that the recipe does
not spell out needs no sign of the user's (whether there is such a setting is checked after composing, in checking.py);
options go first. Rewriting what is already rewritten changes nothing: Lightning starts its other processes with these
words. Only words: knows nothing of what recipes hold, and does not import Hydra.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from ganlab.config.catalog import Catalog, catalog, nearest, suggestion
from ganlab.errors import UserError

RESUMED = "_resumed_"
"""The name under which a checkpoint's recipe is composed again."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}: settings are written key=value, see --help")


def _parser() -> argparse.ArgumentParser:
    """Hydra's own options; `parse_intermixed_args` takes them anywhere between the settings."""
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


@dataclass(frozen=True)
class Arguments:
    """A command line taken apart: the recipe, the settings, and Hydra's options by name."""

    overrides: tuple[str, ...] = ()
    options: dict[str, str | bool] = field(default_factory=dict)

    @property
    def recipe(self) -> str | None:
        name = self.options.get("config_name")
        return str(name) if name else None

    @property
    def folder(self) -> str | None:
        folder = self.options.get("config_dir")
        return str(folder) if folder else None

    @property
    def sweeps(self) -> bool:
        return bool(self.options.get("multirun"))

    @property
    def catalog(self) -> Catalog:
        return catalog(*([self.folder] if self.folder else []))

    def value(self, key: str) -> str | None:
        """What the last override of a key says."""
        found = [value for name, value in map(split, self.overrides) if name.lstrip("+") == key]
        return found[-1] if found else None

    def words(self) -> list[str]:
        """The command line again, options first."""
        options: list[str] = []
        for name, value in sorted(self.options.items()):
            options += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return [*options, *self.overrides]


def split(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key, value


def read(words: Sequence[str]) -> Arguments:
    """The command line, rewritten for Hydra. Raises `UserError` for what cannot be a command line of fit."""
    given = vars(_parser().parse_intermixed_args(list(words)))
    overrides = given.pop("overrides")
    if given["resolve"] and not given["cfg"]:
        raise UserError("`--resolve` goes with --cfg job: it prints the recipe with its references resolved")
    arguments = Arguments(tuple(overrides), {name: value for name, value in given.items() if value})
    for override in overrides:
        _check_form(override, arguments.catalog)
    return _with_signs(_with_recipe(arguments))


def _check_form(override: str, choices: Catalog) -> None:
    if "=" in override or override.startswith("~"):
        return
    right = nearest(override, choices.recipes())
    hint = f"did you mean `recipe={right}`?" if right else "see --help"
    raise UserError(f"`{override}` is not a setting: settings are written key=value; {hint}")


def _with_recipe(arguments: Arguments) -> Arguments:
    """`recipe=` made Hydra's option; a recipe's file will do, too. `resume=` brings its own recipe."""
    named = [split(override)[1] for override in arguments.overrides if split(override)[0] == "recipe"]
    rest = tuple(override for override in arguments.overrides if split(override)[0] != "recipe")
    options = dict(arguments.options)
    resumes = arguments.value("resume") not in (None, "", "null", "auto")
    if resumes and named:
        raise UserError("`recipe` cannot be chosen with `resume`: the checkpoint brings its own; leave recipe=... out")
    if named and named[-1].endswith((".yaml", ".yml")):
        options |= {"config_dir": str(Path(named[-1]).parent), "config_name": Path(named[-1]).stem}
    elif named or resumes:
        options["config_name"] = named[-1] if named else RESUMED
    found = replace(arguments, overrides=rest, options=options)
    if found.recipe != RESUMED:
        _check_recipe(found)
    return found


def _check_recipe(arguments: Arguments) -> None:
    if arguments.folder and not Path(arguments.folder).is_dir():
        raise UserError(f"`--config-dir` must be a folder, got {arguments.folder}")
    if twice := arguments.catalog.clashes():
        raise UserError(f"{twice[0]} has the name of one of ganlab's own: give it another")
    known = arguments.catalog.recipes()
    if arguments.options.keys() & {"config_path", "hydra_help", "info", "shell_completion", "version"}:
        return
    if arguments.recipe is None:
        raise UserError("`recipe` is needed: pass recipe=cgan_text2img; `python -m ganlab.fit --help` lists them all")
    if "," in arguments.recipe:
        raise UserError(f"`recipe` is one recipe a command, got {arguments.recipe}: sweep over groups or settings")
    if arguments.recipe.removesuffix(".yaml") not in known:
        raise UserError(
            f"`recipe={arguments.recipe}` does not exist: {suggestion(arguments.recipe, list(known), 'recipe=')}"
        )


# Signs ------------------------------------------------------------------------------------------------------------

SETTING = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)+")


def _with_signs(arguments: Arguments) -> Arguments:
    groups = arguments.catalog.groups()
    sign: Callable[[str], str] = lambda override: _signed(override, groups, arguments.recipe == RESUMED)  # noqa: E731
    return replace(arguments, overrides=tuple(map(sign, arguments.overrides)))


def _signed(override: str, groups: dict[str, list[str]], resumed: bool) -> str:
    """`++` for a dotted setting. A checkpoint's recipe has no groups left: one is added to it instead of replaced."""
    key, value = split(override)
    if resumed and key in groups:
        return f"+{override}"
    if key.startswith("hydra.") or not SETTING.fullmatch(key):
        return override
    return f"++{key}={value}"
