"""What can be chosen: the recipes and the groups of choices beside them, read from folders of YAML files.

Only reads; knows nothing of Hydra, nor what a recipe's settings mean.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ganlab.files.settings_file import read_yaml

HIDDEN = ("base",)
"""What recipes start from, not one of them."""


def recipe_folder() -> Path:
    """The recipes that come with ganlab: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


@dataclass(frozen=True)
class Catalog:
    """The recipes and groups of some folders, ganlab's own first."""

    folders: tuple[Path, ...]

    def recipes(self) -> dict[str, str]:
        """Every recipe's name with the comment on its first line."""
        files = {path.stem: path for folder in self.folders for path in folder.glob("*.yaml")}
        return {name: headline(files[name]) for name in sorted(files) if name not in HIDDEN and name[0] not in "._"}

    def groups(self) -> dict[str, list[str]]:
        """Every group's name, nested ones with a slash, with its choices."""
        found: dict[str, set[str]] = {}
        for folder in self.folders:
            for path in group_files(folder):
                found.setdefault(path.parent.relative_to(folder).as_posix(), set()).add(path.stem)
        return {name: sorted(choices) for name, choices in sorted(found.items())}

    def place(self, group: str) -> str | None:
        """Where the settings of a group's choices go in a recipe, "" for several places; None: under its own name."""
        files = [file for folder in self.folders for file in (folder / group).glob("*.yaml")]
        (place, *others) = {package(file) for file in files}
        return None if others or not place else {"_global_": ""}.get(place, place)

    def clashes(self) -> list[Path]:
        """Files of the other folders under a name that ganlab's own folder has: which one is meant is not clear."""
        ours, *others = self.folders
        files = (
            (folder, path)
            for folder in others
            if folder.resolve() != ours.resolve()
            for path in [*folder.glob("*.yaml"), *group_files(folder)]
        )
        return [path for folder, path in files if (ours / path.relative_to(folder)).is_file()]

    def chosen_groups(self, recipe: str) -> set[str]:
        """The groups that a recipe's defaults list chooses from, those of the recipes that it starts from included."""
        files = [folder / f"{recipe.removesuffix('.yaml')}.yaml" for folder in self.folders]
        file = next((file for file in files if file.is_file()), None)
        found: set[str] = set()
        for entry in read_yaml(file).get("defaults", []) if file else []:
            if isinstance(entry, Mapping):
                found |= {group_of(key) for key in entry}
            elif entry != "_self_":
                found |= self.chosen_groups(str(entry))
        return found | {brought for group in found for brought in self.brought_groups(group)}

    def brought_groups(self, group: str) -> set[str]:
        """The groups that some choice of a group chooses from in its turn (data=toy brings mixture)."""
        files = (file for folder in self.folders for file in (folder / group).glob("*.yaml"))
        entries = (entry for file in files for entry in read_yaml(file).get("defaults", []))
        return {group_of(key) for entry in entries if isinstance(entry, Mapping) for key in entry}


def group_of(key: str) -> str:
    """The group that an entry of a defaults list is about.

    >>> group_of("override /network"), group_of("data@other.place")
    ('network', 'data')
    """
    return str(key).split()[-1].partition("@")[0].lstrip("/")


def group_files(folder: Path) -> Iterator[Path]:
    """The choices of a folder's groups, nested ones too, but not all that lies under somebody's home."""
    for pattern in ("[!.]*/*.yaml", "[!.]*/[!.]*/*.yaml"):
        yield from folder.glob(pattern)


def catalog(*extra: str | Path) -> Catalog:
    """ganlab's own recipes, and those of the user's folders, which come after."""
    return Catalog((recipe_folder(), *(Path(folder) for folder in extra)))


@cache
def base_recipe() -> dict[str, Any]:
    """What every recipe starts from, interpolations unresolved."""
    return {key: value for key, value in read_yaml(recipe_folder() / "base.yaml").items() if key != "defaults"}


def package(path: Path) -> str:
    """The place in a recipe that a choice's first line names for Hydra, "" where it names none."""
    with path.open(encoding="utf-8") as file:
        sign, _, name = next(file, "").strip().partition("@package ")
    return name if sign == "# " else ""


def headline(path: Path) -> str:
    """The comment that a file starts with, without its sign; empty where there is none. `# @...` is Hydra's."""
    with path.open(encoding="utf-8") as file:
        first = next((line.strip() for line in file if not line.startswith("# @")), "")
    return first.lstrip("# ") if first.startswith("#") else ""


def nearest(word: str, words: Iterable[str]) -> str:
    """The word most like `word`, or an empty string when none is like it.

    >>> nearest("devcies", ["devices", "strategy"])
    'devices'
    """
    return next(iter(difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)), "")


def suggestion(word: str, words: Sequence[str], prefix: str = "") -> str:
    """The end of a message about a wrong word: the nearest right one, and what there is.

    >>> suggestion("hinj", ["hinge", "minimax"], "objective=")
    'did you mean `objective=hinge`? (there are hinge, minimax)'
    """
    right = nearest(word, words)
    everything = ", ".join(words) if words else "none"
    return f"did you mean `{prefix}{right}`? (there are {everything})" if right else f"there are {everything}"
