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
    """Return every `python -m ganlab.fit` of a `console` block or of an indented block of any page, with its page."""
    found = []
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        listed = [line for block in blocks(page) if block.language == "console" for line in block.text.splitlines()]
        listed += re.findall(
            r"^    (python -m ganlab\.fit .*)$", FENCE.sub("", text.replace("\\\n", " ")), re.MULTILINE
        )
        name = page.relative_to(DOCS).as_posix()
        found += [(name, shlex.split(line, comments=True)[3:]) for line in listed if line and "$" not in line]
    return found
