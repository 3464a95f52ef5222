"""The recipes and the groups of choices beside them, read from folders of YAML files.

This module only reads. It does not use Hydra, and does not interpret a recipe's settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from ganlab.files.settings_file import read_yaml


def recipe_folder() -> Path:
    """Return the folder of ganlab's recipes: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


@dataclass(frozen=True)
class Catalog:
    """The recipes and groups of some folders, ganlab's own first."""

    folders: tuple[Path, ...]

    def recipes(self) -> dict[str, str]:
        """Return every recipe's name with the comment on its first line."""
        files = {path.stem: path for folder in self.folders for path in folder.glob("*.yaml")}
        return {name: headline(files[name]) for name in sorted(files) if name != "base" and name[0] not in "._"}

    def groups(self) -> dict[str, list[str]]:
        """Return every group's name with its choices. Nested groups have a slash."""
        found: dict[str, set[str]] = {}
        for folder in self.folders:
            for path in group_files(folder):
                found.setdefault(path.parent.relative_to(folder).as_posix(), set()).add(path.stem)
        return {name: sorted(choices) for name, choices in sorted(found.items())}

    def file(self, name: str) -> Path | None:
        """Return the file of a recipe, `vanilla`, or of a group's choice, `data/toy`; None if there is none."""
        files = (folder / f"{name.removesuffix('.yaml')}.yaml" for folder in self.folders)
        return next((file for file in files if file.is_file()), None)

    def place(self, group: str) -> str | None:
        """Return the place of a group's settings in a recipe: "" for several places, None for the group's own name."""
        places = {package(file) for folder in self.folders for file in (folder / group).glob("*.yaml")}
        (place, *others) = places
        return None if others or not place else {"_global_": ""}.get(place, place)

    def clashes(self) -> list[Path]:
        """Return the files of the other folders whose names ganlab's own folder has, too."""
        ours, *others = self.folders
        files = ((path, path.relative_to(one)) for one in others for path in [*one.glob("*.yaml"), *group_files(one)])
        return [path for path, name in files if (ours / name).is_file() and not (ours / name).samefile(path)]

    def misplaced(self, group: str) -> Iterator[tuple[Path, str]]:
        """Yield the user's files of a group that lack the package of all of ganlab's choices, with that package.

        Hydra puts their settings at the group's name, which no component reads.
        """
        ours, *others = self.folders
        bare = [file for folder in others for file in sorted((folder / group).glob("*.yaml")) if not package(file)]
        places = {package(file) for file in (ours / group).glob("*.yaml")} if bare else set()
        if len(places) == 1 and (place := places.pop()):
            yield from ((file, place) for file in bare)

    def chosen(self, recipe: str, typed: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the groups that a recipe chooses from, each with its choice: a name, a list of names, or None.

        Typed choices take precedence over the recipe's overrides, these over the defaults of a choice, and these over
        plain defaults.
        """
        entries = [*self._entries(recipe)]
        said = {group_of(key): choice for key, choice in entries if key.startswith("override")} | dict(typed or {})
        chosen = {group_of(key): choice for key, choice in entries} | said
        brought = [self._entries(f"{group}/{choice}") for group, choice in chosen.items()]
        return chosen | {group_of(key): choice for pairs in brought for key, choice in pairs} | said

    def open_groups(self, recipe: str) -> set[str]:
        """Return the groups that may be chosen beside a recipe: its own, and those that its choices add."""
        own = {group_of(key) for key, _ in self._entries(recipe)}
        brought = (self._entries(f"{group}/{choice}") for group in own for choice in self.groups().get(group, ()))
        return own | {group_of(key) for pairs in brought for key, _ in pairs}

    def _entries(self, name: str) -> Iterator[tuple[str, Any]]:
        """Yield the choices in the defaults lists of a recipe's or a choice's file and of the files that it extends."""
        for entry in defaults(self.file(name)):
            if isinstance(entry, Mapping):
                yield from entry.items()
            elif entry != "_self_":
                yield from self._entries(beside(name, entry))

    def layers(self, name: str, chosen: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
        """Yield the named files of a recipe with these choices in Hydra's order: later ones take precedence."""
        if (file := self.file(name)) is None:
            return
        entries = defaults(file)
        for entry in entries if "_self_" in entries else [*entries, "_self_"]:
            if entry == "_self_":
                yield name, file
            elif not isinstance(entry, Mapping):
                yield from self.layers(beside(name, entry), chosen)
            else:
                groups = [group_of(key) for key in entry if not key.startswith("override")]
                pairs = [(group, one) for group in groups for one in listed(chosen.get(group))]
                yield from (layer for group, one in pairs for layer in self.layers(f"{group}/{one}", chosen))


def listed(choice: Any) -> list[Any]:
    """Return a group's choice as a list of choices.

    >>> listed("adam"), listed(["r1", "r2"]), listed(None)
    (['adam'], ['r1', 'r2'], [])
    """
    return choice if isinstance(choice, list) else [] if choice is None else [choice]


def beside(name: str, entry: str) -> str:
    """Return the full name of an entry of a defaults list without a group. Its file is beside the list's own file.

    >>> beside("ring", "vanilla"), beside("data/grid", "toy")
    ('vanilla', 'data/toy')
    """
    folder, slash, _ = name.rpartition("/")
    return f"{folder}{slash}{entry}"


@cache
def defaults(file: Path | None) -> list[Any]:
    """Return the defaults list of a recipe's or a choice's file, if it has one."""
    found = read_yaml(file).get("defaults") if file and "defaults:" in file.read_text(encoding="utf-8") else []
    return found if isinstance(found, list) else []


def group_of(key: str) -> str:
    """Return the group of an entry of a defaults list.

    >>> group_of("override /network"), group_of("data@other.place")
    ('network', 'data')
    """
    return str(key).split()[-1].partition("@")[0].lstrip("/")


def group_files(folder: Path) -> Iterator[Path]:
    """Yield the choices of a folder's groups, at most two folders deep: a user's folder may be a home folder."""
    for pattern in ("[!.]*/*.yaml", "[!.]*/[!.]*/*.yaml"):
        yield from folder.glob(pattern)


def catalog(*extra: str | Path) -> Catalog:
    """Return ganlab's own recipes, and after them those of the user's folders."""
    return Catalog((recipe_folder(), *(Path(folder) for folder in extra)))


@cache
def base_recipe() -> dict[str, Any]:
    """Return the settings that all recipes extend, with interpolations unresolved."""
    return {key: value for key, value in read_yaml(recipe_folder() / "base.yaml").items() if key != "defaults"}


def package(path: Path) -> str:
    """Return the package that a choice's first line declares for Hydra, or "" if it declares none."""
    with path.open(encoding="utf-8") as file:
        sign, _, name = next(file, "").strip().partition("@package ")
    return name if sign == "# " else ""


def headline(path: Path) -> str:
    """Return the first line of the comment at the start of a file, or "" if there is none."""
    return next(_comment_lines(path), "")


def introduction(path: Path) -> str:
    """Return the comment at the start of a file, in one line, or "" if there is none."""
    return " ".join(_comment_lines(path))


def _comment_lines(path: Path) -> Iterator[str]:
    """Yield the lines of the comment at the start of a file without their sign. `# @...` is Hydra's."""
    with path.open(encoding="utf-8") as file:
        lines = (line.strip() for line in file if not line.startswith("# @"))
        yield from (line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines))
