"""A page of the documentation as something to try: the files that it shows, and the commands in their order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block. A titled one is a file; `bash` is run; `console` has commands that are only composed."""

    language: str
    title: str
    text: str

    def commands(self) -> Iterator[list[str]]:
        """Yield the words of each command."""
        for line in self.text.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def blocks(page: Path) -> list[Block]:
    """Return the page's fenced blocks in order."""
    return [Block(*found) for found in FENCE.findall(page.read_text(encoding="utf-8"))]


def composed_commands() -> list[tuple[str, list[str]]]:
    """Return the words of every `ganlab.fit` in a `console` block or an indented block of any page, with the page."""
    found = []
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        listed = [words for block in blocks(page) if block.language == "console" for words in block.commands()]
        indented = re.findall(
            r"^    (python -m ganlab\.fit .*)$", FENCE.sub("", text.replace("\\\n", " ")), re.MULTILINE
        )
        listed += [shlex.split(line, comments=True) for line in indented]
        fits = [words for words in listed if "ganlab.fit" in words and not any("$" in word for word in words)]
        name = page.relative_to(DOCS).as_posix()
        found += [(name, words[words.index("ganlab.fit") + 1 :]) for words in fits]
    return found
