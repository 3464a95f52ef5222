"""Convert the pages' formulas to MathML, which browsers render without scripts or fonts."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

MARKED = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
"""A formula as the Markdown extension `pymdownx.arithmatex` leaves it, still in LaTeX."""


def with_mathml(page: str) -> str:
    """Return the page's HTML with each marked formula replaced by MathML."""
    return MARKED.sub(_set, page)


def _set(found: re.Match[str]) -> str:
    display = "block" if found[1] == "div" else "inline"
    formula = convert(html.unescape(found[2]).strip(), display=display)
    return f'<div class="formula">{formula}</div>' if display == "block" else formula
