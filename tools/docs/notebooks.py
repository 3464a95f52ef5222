"""Render a notebook as a page: text as it is, code in blocks, and the outputs that it was saved with."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Rendered(NamedTuple):
    """A page's Markdown, and the pictures that it shows, by file name."""

    text: str
    pictures: dict[str, bytes]


def rendered(notebook: Path) -> Rendered:
    """Return a notebook as a page. Text on standard error (progress) is left out."""
    pictures: dict[str, bytes] = {}
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    parts = [part for cell in cells for part in _cell(cell, f"{notebook.stem}/pictures", pictures)]
    first, *rest = parts
    link = f"[This page is a notebook]({notebook.name}), which a test executes."
    return Rendered("\n\n".join([first, link, *rest]) + "\n", pictures)


def _cell(cell: Mapping[str, Any], folder: str, pictures: dict[str, bytes]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield _fenced(source, "python")
    for output in cell["outputs"]:
        yield from _output(output, folder, pictures)


def _output(output: Mapping[str, Any], folder: str, pictures: dict[str, bytes]) -> Iterator[str]:
    data = output.get("data", {})
    if "image/png" in data:
        content = base64.b64decode("".join(data["image/png"]))
        name = f"{hashlib.sha256(content).hexdigest()[:12]}.png"
        pictures[name] = content
        yield f"![Output]({folder}/{name})"
    elif "text/html" in data:
        yield f"<p>{''.join(data['text/html'])}</p>"
    elif "text/plain" in data:
        yield _fenced("".join(data["text/plain"]), "text")
    elif output.get("name") == "stdout":
        yield _fenced("".join(output["text"]), "text")


def _fenced(text: str, language: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"
