"""The tutorial and the how-to pages: every file they show is written, every command is run, as a reader would."""

from __future__ import annotations

import runpy
import sys
from importlib import import_module
from pathlib import Path

import pytest

from ganlab.config.recipe import compose
from ganlab.errors import UserError
from tests.docs.pages import DOCS, blocks, composed_commands

PAGES = sorted([*DOCS.glob("howto/*.md"), *DOCS.glob("tutorial/*.md")])
TRIED = [page for page in PAGES if any(block.language == "bash" for block in blocks(page))]
SHORT = ("batch_size=8", "callbacks.collapse=null", "callbacks.pictures=null")
"""What a run of a test leaves out, beside most of its iterations; and of pictures their quality."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, whose modules Python finds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    return tmp_path


@pytest.mark.parametrize("page", TRIED, ids=lambda page: page.stem)
def test_a_page_works_as_it_stands(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    for block in blocks(page):
        if block.title:
            file = folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "bash":
            for words in block.commands():
                steps += 2
                run(words, steps, monkeypatch)


def run(words: list[str], steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run `python ...` in this process; training takes `steps` iterations, so that resuming goes on."""
    python, *words = words
    assert python == "python"
    if words[:2] == ["-m", "pytest"]:
        assert pytest.main([*words[2:], "-q", "-n", "0", "-p", "no:cacheprovider", "--rootdir", "."]) == 0
    elif words[0] == "-m":
        monkeypatch.setattr(sys, "argv", [*words[1:], *shortened(words, steps)])
        module = import_module(words[1])
        (import_module(f"{words[1]}.__main__") if hasattr(module, "__path__") else module).main()
    else:
        runpy.run_path(words[0], run_name="__main__")


def shortened(words: list[str], steps: int) -> tuple[str, ...]:
    """Return the settings that make a run of `fit` short."""
    if words[1] != "ganlab.fit":
        return ()
    most = f"trainer.max_steps={steps}"
    if any(word.startswith("resume=runs") for word in words):
        return (most,)
    return (*SHORT, most) if "recipe=ring" in words else (*SHORT, "callbacks.quality=null", most)


@pytest.mark.parametrize(("page", "words"), composed_commands(), ids=lambda value: str(value)[:60])
def test_a_command_of_any_page_is_composed(page: str, words: list[str], folder: Path) -> None:
    """Recipes, groups and settings in it exist. Folders and runs of the reader's own do not."""
    if any(word.startswith(("resume=", "--")) for word in words) and "resume=auto" not in words:
        pytest.skip("needs a run, or is not a recipe")
    sweeps = "-m" in words
    words = [word.split(",")[0] if sweeps and "[" not in word else word for word in words if word != "-m"]
    try:
        compose(*words)
    except UserError as error:
        pytest.fail(f"{page}: {error}")
