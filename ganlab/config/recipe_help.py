"""The help on one recipe, `fit recipe=NAME --help`: its choices, and all settings with their values and meanings.

It is read from the comments in the recipe's files and the docstrings of its components. Nothing is imported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ganlab.config.catalog import Catalog, introduction, listed, package
from ganlab.config.checking import definition_of
from ganlab.config.cli import split_list, table
from ganlab.config.command import BESIDE, Command, split
from ganlab.config.signatures import parameters

Settings = dict[str, tuple[str, str]]
"""Dotted place -> (value, comment)."""


def recipe_help(command: Command) -> str:
    """Return the help on one recipe: its choices, and all settings with their values and meanings."""
    name = str(command.recipe)
    said = {key: split_list(one) if one.startswith("[") else one for key, one in map(split, command.overrides)}
    chosen = command.catalog.chosen(name, {key: one for key, one in said.items() if key in command.groups})
    settings = written(command.catalog, name, chosen)
    top = {f"{place}={value}": comment for place, (value, comment) in settings.items() if "." not in place}
    return "\n".join(
        [
            f"{command.catalog.recipes()[name]}\n",
            f"  python -m ganlab.fit recipe={name} [group=CHOICE ...] [setting=VALUE ...]\n",
            f"Groups: its choices, and the others\n{table(dict(_groups(command, chosen)))}\n",
            f"Settings\n{table(top)}\n",
            "Settings of its components: data.size=64 sets `size` of `data`",
            *_components(settings),
        ]
    )


def _groups(command: Command, chosen: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield each group with its choice, the choice's meaning, and the other choices."""
    for group, choice in sorted(chosen.items()):
        files = [file for one in listed(choice) if (file := command.catalog.file(f"{group}/{one}"))]
        others = ", ".join(one for one in command.groups.get(group, ()) if one not in listed(choice))
        shown = f"[{','.join(choice)}]" if isinstance(choice, list) else choice
        what = [f"{introduction(file).rstrip('.')}." for file in files] + ([f"Or {others}"] if others else [])
        yield f"{group}={shown}", " ".join(what)


def _components(settings: Settings) -> Iterator[str]:
    """Yield a component's place and docstring, then its settings with the defaults that no file states, recursively."""
    for parent in dict.fromkeys(place.rpartition(".")[0] for place in settings):
        target = settings.get(f"{parent}._target_", ("", ""))[0]
        doc = Docs.of(target)
        own = {place: pair for place, pair in settings.items() if place.rpartition(".")[0] == parent}
        rows = {place.rpartition(".")[2]: pair for place, pair in own.items()}
        beside = {name for name in doc.defaults if any(place.startswith(f"{parent}.{name}.") for place in settings)}
        injected = settings if parent == "variant" else ()  # a variant gets the settings at the top by name
        rows |= {k: (v, "") for k, v in doc.defaults.items() if k not in {*rows, *beside, *BESIDE, *injected}}
        shown = {f"{k}={value}": note or doc.says(k) for k, (value, note) in rows.items() if not k.startswith("_")}
        if parent:
            yield f"\n{table({f'{parent}:': ' '.join(filter(None, [target, doc.summary]))}, indent=0)}"
            yield from [table(shown, indent=4)] if shown else []


# Values in a recipe's files ---------------------------------------------------------------------------------------


def written(choices: Catalog, recipe: str, chosen: Mapping[str, object]) -> Settings:
    """Return the single values in a recipe's files as they are written, with the comments on their lines.

    Later files take precedence. A value replaces a component and the other way round, as in Hydra.
    """
    found: Settings = {}
    for name, file in choices.layers(recipe, chosen):
        group = name.rpartition("/")[0].replace("/", ".")
        for place, value, comment in _leaves(file, {"": group, "_global_": ""}.get(package(file), package(file))):
            comment = comment or found.get(place, ("", ""))[1]
            above = [place[: match.start()] for match in re.finditer(r"\.", place)]
            found = {key: one for key, one in found.items() if key not in above and not key.startswith(f"{place}.")}
            found[place] = (value, comment)
    return found


def _leaves(file: Path, start: str) -> Iterator[tuple[str, str, str]]:
    """Yield (place, value, comment) of each single value in a file."""
    text = file.read_text(encoding="utf-8")
    lines = [*text.splitlines(), ""]

    def walk(node: yaml.Node, place: str) -> Iterator[tuple[str, str, str]]:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if place != start or key.value != "defaults":
                    yield from walk(value, place if key.value == "<<" else f"{place}.{key.value}".lstrip("."))
        else:
            value = text[node.start_mark.index : node.end_mark.index].strip("\"' \n") or "''"
            yield place, value, lines[node.end_mark.line].partition(" #")[2].strip()

    node = yaml.compose(text, yaml.SafeLoader)
    return walk(node, start) if node else iter(())


# Docstrings in a component's source -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Docs:
    """The docstrings of one of ganlab's components, and its plain default values as they are typed."""

    summary: str = ""
    text: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, target: str) -> Docs:
        """Return the docstrings in a target's source. Empty for targets of other packages."""
        definition = definition_of(target, "_target_") if target.startswith("ganlab.") else None
        if definition is None:
            return cls()
        inits = [one for one in definition.node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
        own, *inner = (ast.get_docstring(one) or "" for one in (definition.node, *inits))
        plain = {k: p.default for k, p in parameters(definition).parameters.items() if p.default is not None}
        defaults = {k: typed for k, one in plain.items() if (typed := _typed(one)) is not None}
        return cls(own.partition("\n")[0], " ".join(" ".join([own, *inner]).split()), defaults)

    def says(self, name: str) -> str:
        """Return the docstring's description of a parameter.

        >>> Docs(text="How one learns. `turns`, `parts`: updates; many. `clip`: a norm.").says("clip")
        'a norm'
        """
        found = re.search(rf"(?:^|[\s`]){name}`?(?:, `\w+`)*: (.+?)(?=[;.] |\.?$)", self.text)
        return found[1] if found else ""


def _typed(default: ast.expr) -> str | None:
    """Return a default as a user types it, or None if it is no plain value.

    >>> [_typed(ast.parse(text, mode="eval").body) for text in ("None", "1e-3", "('a', 'b')", "HELD_OUT")]
    ['null', '0.001', '[a,b]', None]
    """
    try:
        value = ast.literal_eval(default)
    except ValueError:
        return None
    if isinstance(value, list | tuple):
        return f"[{','.join(map(str, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
