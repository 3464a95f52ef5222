"""The reference pages that are written from the source: they have every recipe, group and component."""

from __future__ import annotations

import importlib.util
from functools import cache
from types import ModuleType

import pytest
import yaml

from ganlab.config.catalog import catalog
from tests.docs.pages import DOCS, ROOT


@cache
def reference() -> ModuleType:
    """The module that mkdocs.yml's hook takes the pages from."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "docs" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def page(name: str) -> str:
    return str(reference().pages()[f"reference/{name}.md"])


def test_every_recipe_is_there_with_its_settings() -> None:
    found = page("recipes")
    assert [name for name in catalog().recipes() if f"\n## {name}\n" not in found] == []
    assert found.count('??? note "Every setting"') == len(catalog().recipes())


def test_every_choice_of_a_group_is_there() -> None:
    found = page("groups")
    choices = [f"{group}={choice}" for group, listed in catalog().groups().items() for choice in listed]
    assert [choice for choice in choices if f"\n### {choice}\n" not in found] == []


@pytest.mark.parametrize(
    ("component", "setting", "value"),
    [
        ("ganlab.objectives.Hinge", "", ""),
        ("ganlab.regularizers.R1", "every", "a whole number of at least 1"),
        ("ganlab.core.sides.Side", "turns", "a whole number"),
        ("ganlab.networks.dcgan.Generator", "width", "a whole number"),
        ("ganlab.variants.conditional.ConditionalGAN", "latent_dim", "a whole number"),
        ("ganlab.data.folder.FolderData", "root", "text"),
    ],
)
def test_a_component_has_its_settings_with_their_ranges(component: str, setting: str, value: str) -> None:
    section = page("components").partition(f"`{component}`")[2].partition("\n### ")[0]
    assert section, component
    assert not setting or f"| `{setting}` | {value}" in section


def test_every_page_is_in_the_navigation() -> None:
    """A page that the navigation leaves out has no previous and no next."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(_files(yaml.safe_load(text)["nav"]))
    written = {file.relative_to(DOCS).as_posix() for file in DOCS.rglob("*.md")}
    written |= {file.relative_to(DOCS).with_suffix(".md").as_posix() for file in DOCS.rglob("*.ipynb")}
    assert listed == written | set(reference().pages())


def _files(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    assert not isinstance(parts, str)
    return [file for part in parts for file in _files(part)]  # type: ignore[attr-defined]
