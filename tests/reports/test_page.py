"""The page of a run: what it holds, and what a browser shows of it, from disk and without a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ganlab.reports.page import page, write_report
from ganlab.reports.pictures import BUDGET, MOST
from ganlab.reports.stored import find_runs, read_run
from tests.reports.conftest import MakeRun

HOSTILE = "<script>window.stolen = 1</script><img src=x onerror='window.stolen = 1'>"
ALARM = {
    "kind": "recall",
    "says": f"mode collapse: {HOSTILE} is missing",
    "since": 100,
    "images_seen": 200,
    "iteration": 2,
    "done": "",
}


@pytest.fixture
def run(make_run: MakeRun) -> Path:
    """A run with sheets and an alarm, whose captions and words are HTML."""
    folder = make_run(
        "run",
        words=("objective=hinge", f"data.root={HOSTILE}"),
        recipe={"data": {"_target_": "ganlab.data.folder.FolderData", "root": HOSTILE}},
        summary={"collapse": {"alarms": [ALARM]}, "condition": "text", "command": "python -m ganlab.fit recipe=tiny"},
        sheets=True,
    )
    shutil.copy(folder / "samples/0000000200.png", folder / "samples/collapse_0000000200.png")
    return folder


def test_what_a_run_says_is_text_and_never_html(run: Path) -> None:
    text = page([read_run(run)])
    assert "<script>window.stolen" not in text and "<img src=x" not in text
    assert text.count("&lt;script&gt;window.stolen") >= 3  # the word, the recipe, the alarm


def test_it_says_what_was_overridden_how_it_was_measured_and_how_to_go_on(run: Path) -> None:
    text = page([read_run(run)])
    assert '<span class="set">objective:</span>' in text.replace("\n", "")
    assert "<span>gamma: 1.0</span>" in text.replace("\n", "")
    assert "measure fid, extractor small, fakes 100" in text
    for command in ("ganlab.sample checkpoint=", "ganlab.evaluate checkpoint=", "ganlab.fit resume="):
        assert command in text


def test_a_long_run_stays_small(make_run: MakeRun) -> None:
    folder = make_run("long", fids=tuple(float(i % 7 + 1) for i in range(3_000)))
    (folder / "samples").mkdir()
    from PIL import Image

    for i in range(120):
        noise = Image.effect_noise((822, 500), 90).convert("RGB")
        noise.save(folder / "samples" / f"{i:010d}.png", compress_level=0)
    text = page([read_run(folder)])
    assert len(text) < BUDGET + 500_000
    assert 2 <= text.count('"src": "data:image/webp') <= MOST


def test_a_page_of_several_runs_compares_them(make_run: MakeRun, tmp_path: Path) -> None:
    for gamma in (1.0, 2.0):
        for seed in (0, 1):
            make_run(f"{gamma}-{seed}", seed, words=(f"gamma={gamma}",), recipe={"gamma": gamma}, sheets=True)
    text = page(find_runs([f"{tmp_path}/*"]))
    assert "4 runs of tiny" in text and "Mean ± sample standard deviation" in text
    assert all(f"gamma={gamma} seed={seed}" in text for gamma in (1.0, 2.0) for seed in (0, 1))


# In a browser -----------------------------------------------------------------------------------------------------

Open = Callable[[Path, int], Any]


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    """visit(file, width): a tab that has opened the file. It fails on any error, and on any request of the network."""
    complaints: list[str] = []
    tabs: list[Any] = []

    def opened(file: Path, width: int) -> Any:
        tab = browser.new_page(viewport={"width": width, "height": 900})
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on(
            "request", lambda one: complaints.append(one.url) if not one.url.startswith(("file:", "data:")) else None
        )
        tab.goto(file.as_uri())
        tabs.append(tab)
        return tab

    yield opened
    for tab in tabs:
        tab.close()
    assert complaints == []


@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_from_disk(run: Path, visit: Open, width: int) -> None:
    tab = visit(write_report([read_run(run)], run / "report.html"), width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator(".chart svg").count() == 2
    assert tab.locator(".chart path.curve").count() == 2
    assert tab.evaluate("window.stolen") is None
    assert "<script>window.stolen" in tab.locator(".alarm p").inner_text()


def test_the_slider_moves_through_the_samples_and_a_mark_shows_the_alarm(run: Path, visit: Open) -> None:
    tab = visit(write_report([read_run(run)], run / "report.html"), 1280)
    last = tab.locator("#sheet0").get_attribute("src")
    tab.locator("#slider").fill("0")
    assert tab.locator("#seen").inner_text() == "0 images seen"
    assert tab.locator("#sheet0").get_attribute("src") != last
    chart = tab.locator(".chart svg").first
    chart.click(position={"x": chart.bounding_box()["width"] - 12, "y": 100})
    assert tab.locator("#seen").inner_text() == "300 images seen"
    tab.locator(".alarmmark").first.click()
    assert tab.locator("dialog").evaluate("one => one.open")
    assert tab.locator("dialog img").get_attribute("src").startswith("data:image/webp")


def test_a_line_is_switched_off_in_the_legend(run: Path, visit: Open) -> None:
    tab = visit(write_report([read_run(run)], run / "report.html"), 1280)
    button = tab.locator(".legend button").first
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert tab.locator(".chart").first.locator("path.curve").count() == 0
