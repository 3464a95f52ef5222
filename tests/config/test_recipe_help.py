"""The help on one recipe must say what composing it says, for every recipe, without importing or composing anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganlab.config.catalog import catalog
from ganlab.config.derived import leaves
from ganlab.config.helptext import fit_help
from ganlab.config.recipe import compose
from ganlab.config.recipe_help import written
from ganlab.errors import UserError
from ganlab.files.settings_file import read_yaml

OWN = ("derived", "overrides", "recipe")


def by_place(tree: Any, place: str = "") -> dict[str, Any]:
    """Return the single values of a tree, a list as one, by their dotted paths."""
    if not isinstance(tree, Mapping):
        return {place: tree}
    return {k: v for key, one in tree.items() for k, v in by_place(one, f"{place}.{key}".lstrip(".")).items()}


def as_read(text: str, folder: Path) -> Any:
    """Return a written value as the recipe's reader has it."""
    file = folder / "value.yaml"
    file.write_text(f"value: {text}\n")
    return read_yaml(file)["value"]


CHOICES = [{"data": "shapes"}, {"data": "toy"}, {"regularizer": ["r1", "r2"], "objective": "fgan"}]


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        *((name, {}) for name in sorted(catalog().recipes())),
        *((name, choice) for name in ("vanilla", "hinge") for choice in CHOICES),
    ],
)
def test_shows_the_values_that_the_recipe_has(name: str, choice: dict[str, Any], tmp_path: Path) -> None:
    words = [f"{group}={one if isinstance(one, str) else '[' + ','.join(one) + ']'}" for group, one in choice.items()]
    composed = {key: one for key, one in compose(f"recipe={name}", *words).items() if key not in OWN}
    shown = written(catalog(), name, catalog().chosen(name, choice))
    plain = {place: value for place, (value, _) in shown.items() if "${" not in value}
    there = by_place(composed)
    assert {place: as_read(value, tmp_path) for place, value in plain.items()} == {p: there[p] for p in plain}
    followers = [place for place, (value, _) in shown.items() if "${" in value]
    left = [place for place in there if place not in shown and not place.startswith(tuple(followers))]
    assert [place for place in left if there[place] != {}] == []


def test_says_what_settings_mean() -> None:
    """By the recipe's comments, else by the component's docstring, with defaults that no file spells out."""
    said = fit_help(["recipe=stackgan", "--help"])
    assert re.search(r"penalty_every=8 +iterations between two penalties", said)
    assert re.search(r"size=64 +Stage I draws a quarter", said)
    assert re.search(r"generator: +ganlab.core.sides.Side ", said)
    assert re.search(r"turns=1 +\w", said)
    assert re.search(r"callbacks.collapse:(.|\n)* {4}chance=0.01 +\w", said)
    assert re.search(r"network=light +.*[\s\S]*Or dcgan, fastgan", said)
    assert "_target_=" not in said and max(map(len, said.splitlines())) <= 110


def test_shows_the_groups_that_are_typed_beside_it() -> None:
    said = fit_help(["-h", "recipe=vanilla", "objective=hinge", "regularizer=[r1,r2]"])
    assert "ganlab.objectives.Hinge" in said and "regularizer=[r1,r2]" in said and "regularizers.r2:" in said


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("# My very own.\ndefaults: [vanilla, _self_]\nbatch_size: 5 # few\n")
    said = fit_help(["--config-dir", str(tmp_path), "recipe=mine", "--help"])
    assert said.startswith("My very own.") and re.search(r"batch_size=5 +few", said)


def test_a_typo_beside_help_is_a_mistake_too() -> None:
    with pytest.raises(UserError, match="`recipe=vanilla`"):
        fit_help(["recipe=vanila", "--help"])


def test_help_reads_files_that_are_yaml() -> None:
    assert all(
        isinstance(yaml.safe_load(path.read_text()), dict | None) for path in catalog().folders[0].rglob("*.yaml")
    )


def test_every_place_of_the_help_may_be_typed() -> None:
    """All that is shown composes again."""
    shown = written(catalog(), "ring", catalog().chosen("ring"))
    words = [f"{place}={value}" for place, (value, _) in shown.items() if "." in place and "${" not in value]
    recipe = compose("recipe=ring", *words)
    assert dict(leaves(recipe["data"])) == dict(leaves(compose("recipe=ring")["data"]))
