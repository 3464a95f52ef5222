"""The page "Play the game" in a browser, wide and narrow: it trains, its controls work, and it fits the screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS

CONTROLS = {"objective": "hinge", "rate_g": "-2.5", "rate_d": "-2", "turns_g": "2", "turns_d": "3", "noise": "0.5"}
"""Settings that take effect during the game."""


@pytest.fixture
def page_file(tmp_path: Path) -> Path:
    """The page's own HTML with the site's style sheet, without mkdocs."""
    text = (DOCS / "lecture" / "play.md").read_text(encoding="utf-8")
    game = text[text.index("<div class=") : text.index("On the line:")]
    style = (DOCS / "stylesheets" / "site.css").read_text(encoding="utf-8")
    script = (DOCS / "javascripts" / "play.js").as_uri()
    view = '<meta name="viewport" content="width=device-width">'
    file = tmp_path / "play.html"
    file.write_text(f'<!doctype html>{view}<style>{style}</style>{game}<script src="{script}"></script>')
    return file


@pytest.fixture(params=[1200, 390], ids=["wide", "phone"])
def page(request: pytest.FixtureRequest, browser: Any, page_file: Path) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": request.param, "height": 844})
    page.problems, page.fetched = [], []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.fetched.append(request.url))
    page.goto(page_file.as_uri())
    yield page
    page.close()


def iteration(page: Any) -> int:
    found = re.search(r"iteration (\d+)", page.locator("[data-show=state]").inner_text())
    assert found is not None
    return int(found[1])


def test_the_game_is_played(page: Any) -> None:
    assert iteration(page) == 0
    page.get_by_text("Play", exact=True).click()
    page.wait_for_function("/iteration [1-9]/.test(document.querySelector('[data-show=state]').textContent)")
    page.get_by_text("Pause").click()
    reached = iteration(page)
    assert reached > 0 and "losses D" in page.locator("[data-show=state]").inner_text()
    for name, value in CONTROLS.items():
        control = page.locator(f"[name={name}]")
        control.select_option(value) if name == "objective" else control.fill(value)
        assert iteration(page) == reached, "the game began again"
    page.locator("[name=data]").select_option("ring")
    assert iteration(page) == 0
    assert page.locator("output[for=turns_d]").inner_text() == "3"
    page.get_by_text("Play", exact=True).click()
    page.wait_for_function("/iteration [1-9]/.test(document.querySelector('[data-show=state]').textContent)")
    assert page.problems == [] and all(url.startswith("file:") for url in page.fetched)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
