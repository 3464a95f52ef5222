"""The hooks of mkdocs: pages generated from the source, formulas, figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from figures import with_figures
from formulas import with_mathml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebooks import rendered
from reference import pages


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated reference pages, and a page for each notebook with its pictures."""
    for path, content in pages().items():
        files.append(File.generated(config, path, content=content))
    for notebook in sorted(Path(config.docs_dir).glob("notebooks/*.ipynb")):
        page = rendered(notebook)
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md", content=page.text))
        for name, content in page.pictures.items():
            files.append(File.generated(config, f"notebooks/{notebook.stem}/pictures/{name}", content=content))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Set formulas as MathML and pictures as figures."""
    root = Path(config.docs_dir)
    place = root / Path(page.file.dest_uri).parent  # as if pictures were beside the built page: see `with_figures`
    return with_figures(with_mathml(html), place, root)
