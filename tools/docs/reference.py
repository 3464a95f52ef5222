"""Generate the reference pages from the source each time the site is built. No list is kept by hand.

Recipes and groups are read from their files, components and their parameters from their definitions, and the commands
report their own settings. No training code is imported.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

import ganlab
from ganlab.__main__ import COMMANDS
from ganlab.config.annotations import describe
from ganlab.config.catalog import catalog, headline, recipe_folder
from ganlab.config.recipe import compose, to_yaml
from ganlab.config.signatures import Parameter, parameters
from ganlab.config.sources import Definition, find
from ganlab.config.trust import SLOTS, Kind
from ganlab.files.settings_file import read_yaml

PACKAGE = Path(ganlab.__file__).parent
NEEDED = {"stacked_mnist": ("data.root=FOLDER",)}
"""Settings that a recipe's command line needs beside its name."""

NETWORKS = "one of ganlab's networks"
COMMON = ("Generator", "Trunk", "Discriminator", "Encoder")
"""Names that occur in several modules of networks."""

API = {
    "gan": ("gan.gan", "sampling.sheet", "evaluation.report", "data.arrays"),
    "game": ("core.generative", "core.adversarial", "core.sides", "core.averaging", "core.checkpoints", "core.loading"),
    "losses": ("objectives", "divergences", "regularizers", "constraints", "perturbations.base", "schedules"),
    "networks": tuple(f"networks.{name}" for name in ("architecture", "heads", "logits", "conditioning", "blocks")),
    "data": ("data.base", "data.batch", "data.pictures"),
    "metrics": (),
}
"""The pages of the Python reference and their modules under `ganlab`; a package without a list gives all of its own."""


def pages() -> dict[str, str]:
    """Return the path of each generated page under docs/ and its Markdown."""
    api = {f"reference/api/{name}.md": _api(name) for name in API}
    return {
        "reference/commands.md": _commands(),
        "reference/recipes.md": _recipes(),
        "reference/groups.md": _groups(),
        "reference/settings.md": _settings(),
        "reference/components.md": _components(),
        **api,
    }


# Commands ---------------------------------------------------------------------------------------------------------


def _commands() -> str:
    parts = [
        "# Commands",
        "What each command prints after `--help`. `ganlab.fit` also takes every setting of a recipe"
        " ([settings](settings.md)) and all that [Hydra](https://hydra.cc) understands.",
    ]
    for name in COMMANDS:
        printed = subprocess.run(
            [sys.executable, "-m", f"ganlab.{name}", "--help"], capture_output=True, text=True, check=True
        ).stdout
        parts.append(f"## ganlab.{name}\n\n{_fenced(printed, 'text')}")
    return "\n\n".join(parts) + "\n"


def _fenced(text: str, language: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


# Recipes and groups -----------------------------------------------------------------------------------------------


def _recipes() -> str:
    parts = [
        "# Recipes",
        "A recipe is a file in `recipes/`. It chooses a file of each group and sets what they do not. Each section has"
        " the file itself and, folded, every setting of the composed recipe, as `--cfg job` prints them.",
    ]
    return "\n\n".join([*parts, *(_recipe(name, line) for name, line in catalog().recipes().items())]) + "\n"


def _recipe(name: str, line: str) -> str:
    words = (f"recipe={name}", *NEEDED.get(name, ()))
    command = " ".join(words)
    file = (recipe_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    composed = to_yaml(compose(*words))
    return "\n\n".join(
        [
            f"## {name}",
            line,
            _fenced(f"python -m ganlab.fit {command}", "bash"),
            _fenced(file, "yaml"),
            _folded("Every setting", _fenced(composed, "yaml")),
        ]
    )


def _folded(title: str, content: str) -> str:
    """Return a part that opens on a click, by the Markdown extension `pymdownx.details`."""
    return f'??? note "{title}"\n\n' + "\n".join(f"    {line}" if line else "" for line in content.splitlines())


def _groups() -> str:
    parts = [
        "# Groups",
        "A group is a part of a recipe that is changed as a whole: `objective=hinge`. `regularizer` and `perturbation`"
        " take several choices: `regularizer=[r1,r2]`. What a choice sets is in its file.",
    ]
    for group, choices in catalog().groups().items():
        parts.append(f"## {group}")
        for choice in choices:
            file = recipe_folder() / group / f"{choice}.yaml"
            content = _fenced(file.read_text(encoding="utf-8"), "yaml")
            parts.append(f"### {group}={choice}\n\n{headline(file)}\n\n{content}")
    return "\n\n".join(parts) + "\n"


# Settings and components ------------------------------------------------------------------------------------------


def _settings() -> str:
    """Return the settings at the top of a recipe and those of Lightning and torch, as ganlab checks them."""
    base = {key: value for key, value in read_yaml(recipe_folder() / "base.yaml").items() if key != "defaults"}
    top = parameters(find("ganlab.config.stubs.Recipe")).parameters
    trainer = parameters(find("ganlab.config.stubs.Trainer")).parameters
    optimizer = parameters(find("ganlab.config.stubs.Optimizer")).parameters
    source = (recipe_folder() / "base.yaml").read_text(encoding="utf-8")
    return (
        "\n\n".join(
            [
                "# Settings",
                "A setting is a dotted name with a value: `generator.optimizer.lr=1e-4`. Every parameter of a"
                " [component](components.md) is a setting at the component's place. A wrong name or value ends in one"
                " line before training starts.",
                "## The top of a recipe",
                _table(top, base),
                "## trainer",
                "Every parameter of Lightning's `Trainer` is a setting. These have a range of their own:",
                _table(trainer, base.get("trainer", {})),
                "## Optimizers",
                "Every parameter of torch's optimizers is a setting of `generator.optimizer` and"
                " `discriminator.optimizer`. These have a range of their own:",
                _table(optimizer, {}),
                "## What every recipe starts from",
                _fenced(source, "yaml"),
            ]
        )
        + "\n"
    )


def _table(found: Mapping[str, Parameter], values: Mapping[str, Any]) -> str:
    rows = ["| setting | value | default |", "|---|---|---|"]
    for name, parameter in found.items():
        default = ast.unparse(parameter.default) if parameter.default else ""
        if name in values and not isinstance(values[name], dict | list):
            default = yaml.safe_dump(values[name]).splitlines()[0]
        rows.append(f"| `{name}` | {_cell(describe(parameter))} | {_code(default)} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def _components() -> str:
    parts = [
        "# Components",
        "A component is a mapping with a `_target_`, the dotted name of a class. Each section is a slot of a recipe and"
        " lists the classes that may stand there. Their parameters are settings. A class of your own may stand in any"
        " slot; a checkpoint that names it is opened with `allow=[PACKAGE]`.",
    ]
    for word, definitions in slots().items():
        parts.append(f"## {_title(word)}")
        parts.extend(_component(definition) for definition in definitions)
    return "\n\n".join(parts) + "\n"


def slots() -> dict[str, list[Definition]]:
    """Return the components of ganlab by their kind: `an objective` -> its classes."""
    found: dict[str, list[Definition]] = {}
    named = _named_targets()
    for kinds in SLOTS.values():
        for kind in kinds:
            listed = list(_held(kind))
            if listed and kind.word not in found:
                found[kind.word] = [one for one in listed if one.name in named] if kind.word == NETWORKS else listed
    return found


def _named_targets() -> set[str]:
    """Return the targets that the recipes name: of the many networks, those that fill a slot by themselves."""
    texts = (file.read_text(encoding="utf-8") for file in recipe_folder().rglob("*.yaml"))
    return {target for text in texts for target in re.findall(r"_target_: ([\w.]+)", text)}


def _title(word: str) -> str:
    """Return a kind's word as a heading.

    >>> _title("one of ganlab's loggers"), _title("an objective")
    ('Loggers', 'Objective')
    """
    return re.sub(r"^(one of ganlab's|an?) ", "", word).capitalize()


def _held(kind: Kind) -> Iterator[Definition]:
    """Yield the definitions of ganlab that a kind admits, in the order of their files."""
    for file in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(("ganlab", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and kind.holds(found := find(f"{module}.{node.name}")):
                yield found


def _component(definition: Definition) -> str:
    text = ast.get_docstring(definition.node) or ""
    summary = text.split("\n\n")[0].replace("\n", " ")
    settings = {name: one for name, one in parameters(definition).parameters.items() if one.annotation is not None}
    table = _table(settings, {}) if settings else "It has no settings."
    name = definition.name.split(".")[-2:] if definition.node.name in COMMON else [definition.node.name]
    return f"### {'.'.join(name)}\n\n`{definition.name}`\n\n{_cell(summary)}\n\n{table}"


# Python -----------------------------------------------------------------------------------------------------------


def _api(page: str) -> str:
    modules = API[page] or _own_modules(page)
    parts = [f"# ganlab: {page}", *(f"## ganlab.{module}\n\n::: ganlab.{module}" for module in modules)]
    return "\n\n".join(parts) + "\n"


def _own_modules(package: str) -> tuple[str, ...]:
    files = sorted((PACKAGE / package).glob("*.py"))
    return tuple(f"{package}.{file.stem}" for file in files if file.stem != "__init__")
