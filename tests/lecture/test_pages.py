"""The lecture's pages: they name what there is, and the committed numbers bear out what the claims need."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ganlab.lecture.catalog import experiments

PAGES = Path(__file__).parent.parent.parent / "docs" / "lecture"
PICTURES = PAGES / "pictures"
pages = pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
numbers = pytest.mark.parametrize("file", sorted(PICTURES.glob("*.json")), ids=lambda file: file.stem)


@pages
def test_a_page_shows_pictures_and_links_pages_that_there_are(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", page.read_text())
    local = [a or b for a, b in links if not (a or b).startswith("http")]
    missing = [link for link in local if not (page.parent / link).is_file()]
    assert missing == []


@pages
def test_a_page_names_experiments_that_there_are(page):
    lines = re.findall(r"python -m ganlab\.lecture([^`\n|]*)", page.read_text())
    named = {word for line in lines for word in line.partition("#")[0].split() if word.islower() and "=" not in word}
    assert named <= set(experiments())


def test_every_page_is_in_the_table():
    table = (PAGES / "index.md").read_text()
    assert [page.name for page in PAGES.glob("*.md") if page.stem != "index" and f"({page.name})" not in table] == []


@numbers
def test_numbers_say_how_they_were_measured(file):
    content = json.loads(file.read_text())
    assert content["experiment"] == file.stem and file.stem in experiments()
    assert content["command"] == f"python -m ganlab.lecture {file.stem} seed={content['seed']}"
    assert content["seconds"] > 0 and content["versions"]["torch"] and content["numbers"]
    assert list(PICTURES.glob(f"{file.stem}.*g*")), "a picture of the same name"


def test_pictures_are_of_reasonable_size():
    limits = {".png": 150_000, ".svg": 150_000, ".gif": 1_000_000, ".json": 100_000}
    assert [file.name for file in PICTURES.iterdir() if file.stat().st_size > limits[file.suffix]] == []


# The claims, by their committed numbers ---------------------------------------------------------------------------


def measured(name):
    return json.loads((PICTURES / f"{name}.json").read_text())["numbers"]


def test_gradients():
    """sigmoid(-10) = 4.5398e-5 and 1 - sigmoid(-10) = 0.9999546."""
    slopes = measured("gradients")["slope_at_logit_-10"]
    assert slopes["minimax"] == pytest.approx(4.5398e-5, rel=1e-3)
    assert slopes["nonsaturating"] == pytest.approx(0.9999546, abs=1e-6)


@pytest.mark.parametrize("distance", ["0.5", "1", "2", "4"])
def test_meter_is_exact_to_five_percent(distance):
    row = measured("meter")["gaussians"][distance]
    assert abs(row["held_out"] / row["exact"] - 1) < 0.05
