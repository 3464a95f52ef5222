"""Make the pages' pictures figures: their size in advance, a link to the file, and scrolling if they are wide."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

IMAGE = re.compile(r'(<a [^>]*>)?<img alt="([^"]*)" src="([^"]+)" ?/?>(</a>)?')
WIDE = 1.6
"""The ratio of width to height above which a figure scrolls sideways on a narrow screen."""


def with_figures(page: str, place: Path, root: Path) -> str:
    """Return the page's HTML with each local picture made a figure. `place` is the page's folder in the site `root`."""

    def figure(found: re.Match[str]) -> str:
        opened, words, source, _ = found.groups()
        file = (place / source).resolve()
        if not file.is_relative_to(root.resolve()) or not file.is_file():
            return found[0]
        width, height = Image.open(file).size
        kind = "figure wide" if width > WIDE * height and not opened else "figure"
        image = f'<img alt="{words}" src="{source}" width="{width}" height="{height}" loading="lazy">'
        return f'<span class="{kind}">{opened or f"""<a href="{source}">"""}{image}</a></span>'

    return IMAGE.sub(figure, page)
