"""Differences between runs: groups of runs that differ in nothing but their seed, and a name for each group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ganlab.config.derived import leaves
from ganlab.config.stored import DERIVED, OWN
from ganlab.config.words import OVERRIDES, short_keys
from ganlab.reports.stored import StoredRun

START = ("init", "init_parts")
APART = (*(key for key in OWN if key not in START), DERIVED, OVERRIDES, "seed", "logger", "callbacks")
"""Parts of a recipe or a command that do not change what is trained. Protocols tell measurements apart."""


class Group(NamedTuple):
    """Runs of one recipe with several seeds. named: the settings that tell it from the other groups."""

    named: dict[str, str]
    runs: list[StoredRun]

    @property
    def title(self) -> str:
        """Return the group's name on one line."""
        short = short_keys(key for key in self.named if key != "recipe")
        return " ".join(f"{short.get(key, '')}={value}".lstrip("=") for key, value in self.named.items())


def identity(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Return the single values that make a recipe's training what it is, by their places. Seeds are left out."""
    kept = {key: value for key, value in recipe.items() if key not in APART}
    followers = recipe.get(DERIVED) or {}
    return {
        place: _shown(place, value)
        for place, value in leaves(kept)
        if place not in followers and not (place.endswith(".seed") and value == recipe.get("seed"))
    }


def _shown(place: str, value: Any) -> str:
    return str(value).rpartition(".")[2] if place.endswith("_target_") else str(value)


def grouped(runs: Sequence[StoredRun]) -> list[Group]:
    """Return the runs in groups, in the order of their first runs, each named by what differs."""
    by_recipe: dict[tuple[tuple[str, str], ...], list[StoredRun]] = {}
    for run in runs:
        by_recipe.setdefault(tuple(sorted(identity(run.recipe).items())), []).append(run)
    groups = list(by_recipe.values())
    traits = [dict(key) for key in by_recipe]
    words = [_words(members[0]) for members in groups]
    keys = [key for key in _keys(words) if len({words_.get(key) for words_ in words}) > 1]
    names = [{key: _value(key, said, own) for key in keys} for said, own in zip(words, traits, strict=True)]
    for alike in _alike(names):
        own = [traits[i] for i in alike]
        for place in _telling(own):
            for i in alike:
                names[i][place.removesuffix("._target_")] = traits[i].get(place, "-")
    for i, members in enumerate(groups):
        names[i] = names[i] or {"recipe": members[0].name}
    return [Group(name, members) for name, members in zip(names, groups, strict=True)]


def _words(run: StoredRun) -> dict[str, str]:
    """Return the words of a run without those that do not change what is trained."""
    said = {"recipe": run.name, **run.words}
    return {key: value for key, value in said.items() if key.split(".")[0] not in APART}


def _keys(words: Sequence[Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(key for said in words for key in said))


def _value(key: str, said: Mapping[str, str], own: Mapping[str, str]) -> str:
    """Return a setting as it was typed, else as the recipe has it."""
    return said.get(key) or own.get(key) or own.get(f"{key}._target_") or "default"


def _alike(names: Sequence[Mapping[str, str]]) -> Iterator[list[int]]:
    """Yield the places of names that are equal."""
    found: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for i, name in enumerate(names):
        found.setdefault(tuple(name.items()), []).append(i)
    yield from (places for places in found.values() if len(places) > 1)


def _telling(traits: Sequence[Mapping[str, str]]) -> list[str]:
    """Return a few places of settings that tell recipes apart, those with the most values first."""
    values = {place: [own.get(place) for own in traits] for place in _keys(traits)}
    found: list[str] = []
    for place in sorted(values, key=lambda place: -len(set(values[place]))):
        if _told_apart(values, [*found, place]) > _told_apart(values, found):
            found.append(place)
    return found


def _told_apart(values: Mapping[str, Sequence[str | None]], places: Sequence[str]) -> int:
    return len(set(zip(*(values[place] for place in places), strict=True))) if places else 1
