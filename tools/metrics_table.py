"""A hook of mkdocs that puts the table of all metrics in place of `<!-- metrics -->`. It is read from the sources."""

from __future__ import annotations

from typing import Any

from ganlab.metrics.registry import table

MARK = "<!-- metrics -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the mark by the table."""
    return markdown.replace(MARK, table())
