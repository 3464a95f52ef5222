"""The page as somebody uses it, in Chromium without a network: on a wide and on a narrow window."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganlab.sample import SampleSettings, sample
from tests.page.conftest import Open, served


def shown(tab: Any, place: str) -> list[bytes]:
    """The files of the pictures in a part of the page."""
    sources = tab.locator(f"{place} figure img").evaluate_all("all => all.map(one => one.src)")
    return [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources]


def wait_until(tab: Any, place: str, differs_from: list[bytes]) -> list[bytes]:
    """The pictures in a part of the page, once they are others."""
    for _ in range(300):
        if (found := shown(tab, place)) and found != differs_from:
            return found
        tab.wait_for_timeout(100)
    raise AssertionError(f"{place} still has the same pictures: {tab.locator('body').inner_text()[-400:]}")


def field(tab: Any, name: str) -> Any:
    """A field of the form to type into."""
    return tab.locator(f".{name} textarea, .{name} input").first


@pytest.mark.parametrize("width", [1280, 390])
def test_a_typed_caption_is_drawn_as_sample_draws_it(
    page: str, captions: Path, visit: Open, width: int, tmp_path: Path
) -> None:
    tab = visit(page, width)
    first = wait_until(tab, ".drawn", [])
    field(tab, "draw-said").fill("a blue car")
    field(tab, "draw-seed").fill("5")
    tab.locator("button.draw-go").click()
    drawn = wait_until(tab, ".drawn", first)
    sample(SampleSettings(str(captions), text=["a blue car"], seed=5, count=8, out=str(tmp_path)))
    assert drawn == [(tmp_path / f"a-blue-car-{seed:05d}.png").read_bytes() for seed in range(5, 13)]
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    words = tab.locator(".drawn figcaption").first.inner_text()
    assert "seed 5" in words and {"real", "match"} <= set(words.split()) and words.count("%") == 3

    tab.locator("button.draw-other").click()
    others = wait_until(tab, ".drawn", drawn)
    assert not set(others) & set(drawn)
    field(tab, "draw-seed").fill("5")
    tab.locator("button.draw-go").click()
    assert wait_until(tab, ".drawn", others) == drawn


def test_the_discriminator_chooses(page: str, visit: Open) -> None:
    tab = visit(page, 1280)
    plain = wait_until(tab, ".drawn", [])
    tab.locator(".draw-guided input[type=checkbox]").first.check()
    tab.locator("button.draw-go").click()
    tab.get_by_text("The discriminator accepted 8 of ").wait_for()
    assert len(shown(tab, ".drawn")) == len(plain) == 8


def test_the_pad_walks_and_its_corners_are_samples(page: str, captions: Path, visit: Open, tmp_path: Path) -> None:
    tab = visit(page, 1280)
    tab.get_by_role("tab", name="Between two").first.click()
    tab.locator(".walk-pad .pad").first.wait_for()
    before = wait_until(tab, ".walked", [])
    field(tab, "between-A").fill("red apple")
    field(tab, "between-B").fill("blue car")
    box = tab.locator(".walk-pad .pad").first.bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3)
    tab.mouse.down()
    middle = wait_until(tab, ".walked", before)
    tab.mouse.move(box["x"] + box["width"] + 9, box["y"] + box["height"] + 9, steps=3)
    tab.mouse.up()
    tab.get_by_text("100% from A to B, 100% from seed to seed").wait_for()
    (corner,) = wait_until(tab, ".walked", middle)
    sample(SampleSettings(str(captions), text=["blue car"], seed=1, count=1, out=str(tmp_path)))
    assert corner == (tmp_path / "blue-car-00001.png").read_bytes()
    assert "match A" in tab.locator(".walked").first.inner_text()


def test_a_class_is_chosen_and_a_dropped_picture_is_found(visit: Open, tmp_path: Path) -> None:
    sample(SampleSettings("zoo:mnist", label=["7"], seed=3, count=1, out=str(tmp_path)))
    (file,) = tmp_path.glob("*00003.png")
    with served("checkpoint=zoo:mnist") as address:
        tab = visit(address, 390)
        before = wait_until(tab, ".drawn", [])
        tab.locator(".draw-said input").first.click()
        tab.get_by_role("option", name="7", exact=True).click()
        field(tab, "draw-seed").fill("3")
        tab.locator("button.draw-go").click()
        assert wait_until(tab, ".drawn", before)[0] == file.read_bytes()
        assert "published without its discriminator" in tab.locator(".drawn").first.inner_text()
        tab.get_by_role("tab", name="Find a picture").click()
        tab.locator(".goal input[type=file]").first.set_input_files(file)
        tab.locator("button.find-go").click()
        tab.get_by_text("step 100 of 100").wait_for()
        goal, found = (np.asarray(Image.open(io.BytesIO(one)), float) for one in shown(tab, ".found"))
        assert np.array_equal(goal, np.asarray(Image.open(file), float))
        assert np.abs(goal - found).mean() < 20 < np.abs(goal - goal.mean()).mean()


def test_an_outline_is_drawn_and_coloured(outlines: Path, visit: Open) -> None:
    with served(f"checkpoint={outlines}") as address:
        tab = visit(address, 1280)
        canvas = tab.locator(".drawn-outline canvas").first
        canvas.wait_for()
        box = canvas.bounding_box()
        tab.mouse.move(box["x"] + 40, box["y"] + 40)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 200, box["y"] + 200, steps=5)
        tab.mouse.up()
        outline, *coloured = wait_until(tab, ".coloured", [])
        lines = np.asarray(Image.open(io.BytesIO(outline)))
        assert lines.shape == (32, 32, 3) and lines[0, 31].tolist() == [255] * 3 and lines.diagonal().min() < 80
        assert len(coloured) == 2 and len(set(coloured)) == 2
        assert "%" in tab.locator(".coloured").first.inner_text()


def test_several_checkpoints_stand_side_by_side(page: str, captions: Path, visit: Open, tmp_path: Path) -> None:
    with served(f"checkpoint={captions}", str(captions / "checkpoints/last.ckpt")) as address:
        tab = visit(address, 1280)
        tab.locator(".drawn section").nth(1).wait_for()
        assert tab.locator(".drawn h3").all_inner_texts() == [str(captions), str(captions / "checkpoints/last.ckpt")]
        tops = [tab.locator(".drawn section").nth(place).bounding_box()["y"] for place in (0, 1)]
        assert tops[0] == tops[1]
    tab = visit(page, 1280)
    wait_until(tab, ".drawn", [])
    assert tab.get_by_role("tab", name="classes: zoo:mnist").count() == 1


def test_what_cannot_be_asked_is_said_in_one_line(page: str, visit: Open) -> None:
    tab = visit(page, 1280)
    wait_until(tab, ".drawn", [])
    field(tab, "draw-said").fill(" ")
    tab.locator("button.draw-go").click()
    tab.get_by_text("write a caption first").wait_for()
    field(tab, "draw-said").fill("a <img src=x onerror='window.stolen=1'> apple")
    tab.locator("button.draw-go").click()
    tab.get_by_text("words that this model never read").wait_for()
    assert tab.evaluate("window.stolen") is None
