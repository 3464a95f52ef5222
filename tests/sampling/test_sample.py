"""The files that `ganlab.sample` writes: what is on them, how fast, and that `data=folder` reads them back."""

from __future__ import annotations

import json
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module
from ganlab.core.checkpoints import load_module
from ganlab.data.base import DataSpec
from ganlab.errors import UserError
from ganlab.files.run_folder import find_checkpoint
from ganlab.runs.training import train
from ganlab.sample import SampleSettings, checked, sample
from ganlab.sampling.drawing import draw, latents
from ganlab.sampling.gallery import PAGE, Drawing, Request, draw_gallery, file_names

QUIET = tuple(f"callbacks.{name}=null" for name in ("quality", "collapse", "pictures", "game"))
SMALL = ("batch_size=8", "network.generator.width=8", "network.discriminator.width=8", *QUIET)
KINDS = {
    "none": ("recipe=vanilla", "data=emoji", "data.size=16"),
    "class": ("recipe=cgan_class", "data=shape_classes", "data.count=40", "data.held_out_count=20", "data.size=32"),
    "text": ("recipe=cgan_text2img", "condition=words", "data=emoji", "data.size=16"),
}
ASKED = {"none": {}, "class": {"label": ["0", "3"]}, "text": {"text": ["a red apple", "a dog, sitting"]}}


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The kind of the condition and the folder of a run of two iterations."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    return request.param, train(compose(*KINDS[request.param], *SMALL, "trainer.max_steps=2", f"run_dir={folder}"))


@pytest.fixture(scope="module")
def vanilla(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "run"
    return train(compose(*KINDS["none"], *SMALL, "trainer.max_steps=2", f"run_dir={folder}"))


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def test_what_was_drawn_is_read_back_and_trained_on(run: tuple[str, Path], tmp_path: Path) -> None:
    """All pictures with their captions or classes, without the sheet; and a run on them."""
    kind, folder = run
    out = tmp_path / "drawn"
    sample(SampleSettings(checkpoint=str(folder), count=6, out=str(out), **ASKED[kind]))
    listed = rows(out)
    words = (*KINDS[kind][:1], "data=folder", f"data.root={out}", "data.size=16", "data.held_out=0.25", *SMALL)
    words = (*words, "condition=words") if kind == "text" else words
    data = make_data(compose(*words))
    assert data.spec.kind == kind
    assert len(data.train) + len(data.reference) == len(listed) == 6 * max(1, len(next(iter(ASKED[kind].values()), [])))
    if kind == "text":
        assert {*data.train.condition, *data.reference.condition} == {row["text"] for row in listed}
    if kind == "class":
        assert data.spec.classes == tuple(sorted({row["label"] for row in listed}))
    again = train(compose(*words, "trainer.max_steps=2", f"run_dir={tmp_path / 'again'}"))
    assert load_module(find_checkpoint(again)).spec.kind == kind


def test_the_manifest_names_seed_condition_and_checkpoint(run: tuple[str, Path], tmp_path: Path) -> None:
    kind, folder = run
    sample(SampleSettings(checkpoint=str(folder), count=2, seed=7, out=str(tmp_path), **ASKED[kind]))
    listed = rows(tmp_path)
    assert [row["seed"] for row in listed] == [7, 8] * (len(listed) // 2)
    digest = sha256(find_checkpoint(folder).read_bytes()).hexdigest()
    assert {row["checkpoint"] for row in listed} == {digest}
    assert all("truncation" not in row and "method" not in row for row in listed)
    classes = load_module(find_checkpoint(folder)).spec.classes
    said = {"text": "text", "class": "label", "none": ""}[kind]
    wanted = {"text": ASKED["text"].get("text"), "class": [classes[i] for i in (0, 3)] if classes else []}.get(kind)
    assert [row.get(said) for row in listed] == (
        [None] * 2 if kind == "none" else [w for w in wanted for _ in range(2)]
    )
    sample(SampleSettings(checkpoint=str(folder), count=1, truncation=0.5, out=str(tmp_path), **ASKED[kind]))
    assert all(row["truncation"] == 0.5 for row in rows(tmp_path))


def test_files_are_the_drawn_pictures(vanilla: Path, tmp_path: Path) -> None:
    """In PNG and WebP pixel for pixel, in any batch; JPEG comes near."""
    module = load_module(find_checkpoint(vanilla))
    (wanted,) = draw(module, None, latents(module, range(5)))
    for form, most in (("png", 0), ("webp", 0), ("jpg", 4)):
        sample(SampleSettings(checkpoint=str(vanilla), count=5, format=form, out=str(tmp_path / form)))
        for seed, image in enumerate(wanted):
            apart = pixels(tmp_path / form / f"{seed:05d}.{form}").astype(int) - image.permute(1, 2, 0).numpy()
            assert (np.abs(apart).mean() if form == "jpg" else np.abs(apart).max()) <= most
    sample(SampleSettings(checkpoint=str(vanilla), count=5, batch=2, out=str(tmp_path / "two")))
    for seed, image in enumerate(wanted):
        apart = pixels(tmp_path / "two" / f"{seed:05d}.png").astype(int) - image.permute(1, 2, 0).numpy()
        assert np.abs(apart).max() <= 1


def test_many_pictures_have_several_sheets(vanilla: Path, tmp_path: Path) -> None:
    """Each sheet has its own pictures, whatever the batch."""
    count = PAGE + 3
    sample(SampleSettings(checkpoint=str(vanilla), count=count, batch=100, out=str(tmp_path)))
    assert sorted(file.name for file in tmp_path.glob("grid*")) == ["grid-000.png", "grid-001.png"]
    assert len(rows(tmp_path)) == count
    last = pixels(tmp_path / "grid-001.png")
    assert last.shape[1] == 3 * (96 + 6) + 6
    shown = last[6 : 6 + 96 : 6, 6 : 6 + 96 : 6]
    assert np.array_equal(shown, pixels(tmp_path / f"{PAGE:05d}.png"))


def test_no_picture_takes_the_name_of_another() -> None:
    """Captions that differ in signs only, and a caption that is asked twice."""
    titles = ["a red apple", "a red apple!", "a red apple"]
    names = file_names(Request(titles, titles, [0, 0, 0]), "png")
    assert names == ["a-red-apple-00000.png", "a-red-apple-00000-2.png", "a-red-apple-00000-3.png"]


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(UserError, match=r"`format` 'gif' is unknown.*png, jpg, webp"):
        checked(SampleSettings(checkpoint="run", format="gif"))


def test_an_error_on_a_thread_is_raised(vanilla: Path, tmp_path: Path) -> None:
    (tmp_path / "00001.png").mkdir()
    with pytest.raises(OSError, match="00001"):
        sample(SampleSettings(checkpoint=str(vanilla), count=3, out=str(tmp_path)))


def test_writing_takes_little_beside_drawing(tmp_path: Path) -> None:
    """The thread that draws does at least 0.9 of its work for the generator; other threads encode and write.

    Its processor time is measured, because other programs take turns with it.
    """
    recipe = compose("recipe=vanilla", "network=resnet", "network.generator.width=64", "data.size=64")
    module = make_module(recipe, DataSpec((3, 64, 64))).eval()
    request = Request.of(module.spec, {}, count=96, seed=0)
    latent = latents(module, request.seeds)
    bare, whole = [], []
    for _ in range(2):
        start = time.thread_time()
        for _ in draw(module, None, latent, batch=32):
            pass
        middle = time.thread_time()
        draw_gallery(module, request, latent, tmp_path, Drawing(batch=32))
        bare.append(middle - start)
        whole.append(time.thread_time() - middle)
    assert min(bare) / min(whole) > 0.9
