"""Pictures on request, for models that turn one picture into another: files, held-out inputs, what cannot be opened."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.pictures import Pictures
from ganlab.errors import UserError
from ganlab.networks import patch, unet
from ganlab.networks.architecture import Architecture
from ganlab.objectives import NonSaturating
from ganlab.sampling.drawing import latents
from ganlab.sampling.gallery import Request, draw_gallery, strange_words
from ganlab.variants.patchgan import PatchGAN

SPEC = DataSpec((3, 16, 16), "image")


@pytest.fixture
def module(adam: Side) -> PatchGAN:
    torch.manual_seed(0)
    networks = Architecture(partial(unet.Generator, width=2), partial(patch.Discriminator, patch=16, width=2))
    return PatchGAN(SPEC, networks, NonSaturating(), adam, adam, MovingAverage())


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, level in (("a", 10), ("b", 200)):
        Image.new("L", (32, 20), level).save(tmp_path / f"{name}.png")
    return [str(tmp_path / "a.png"), str(tmp_path / "b.png")]


@pytest.fixture
def pairs() -> Pictures:
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 3, 16, 16), np.uint8)
    return Pictures(images, torch.from_numpy(images + 100), [f"thing {i}" for i in range(5)])


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image).astype(int)


def test_files_become_inputs_of_the_models_size(files: list[str]) -> None:
    request = Request.of(SPEC, {"input": files}, count=3, seed=7)
    assert isinstance(request.condition, torch.Tensor)
    assert request.condition.shape == (6, 3, 16, 16)
    assert request.condition[:, 0, 8, 8].tolist() == [10] * 3 + [200] * 3
    assert request.seeds == [7, 8, 9] * 2
    assert request.truth is None


def test_held_out_inputs_come_with_their_truth_and_start_again(pairs: Pictures) -> None:
    request = Request.of_pairs(pairs, count=7, seed=3)
    assert isinstance(request.condition, torch.Tensor) and request.truth is not None
    assert torch.equal(request.condition, request.truth + 100)
    assert request.titles == [f"thing {level}" for level in request.truth[:, 0, 0, 0].tolist()]
    assert sorted(request.titles[:5]) == sorted(set(request.titles))
    assert request.seeds == list(range(3, 10))
    assert Request.of_pairs(pairs, count=2, seed=3).titles == request.titles[:2]


def test_the_grid_shows_input_generated_and_truth(module: PatchGAN, pairs: Pictures, tmp_path: Path) -> None:
    request = Request.of_pairs(pairs, count=3, seed=0)
    grid = draw_gallery(module, request, latents(module, request.seeds), tmp_path)
    sheet = pixels(grid)[..., 0]
    step = 96 + 6
    assert sheet.shape[1] == 9 * step + 6
    for i, title in enumerate(request.titles):
        given, truth = (int(sheet[6 + 48, 6 + 48 + (3 * i + k) * step]) for k in (0, 2))
        assert given == truth + 100 == int(title.split()[1]) + 100
        drawn = pixels(tmp_path / f"{title.replace(' ', '-')}-{i:05d}.png")
        assert drawn.shape == (16, 16, 3)
        shown = sheet[6 : 6 + 96 : 6, 6 + (3 * i + 1) * step : 6 + (3 * i + 1) * step + 96 : 6]
        assert np.array_equal(shown, drawn[..., 0])


def test_without_truth_two_a_set(module: PatchGAN, files: list[str], tmp_path: Path) -> None:
    request = Request.of(SPEC, {"input": files}, count=1, seed=0)
    grid = draw_gallery(module, request, latents(module, request.seeds), tmp_path / "out")
    assert pixels(grid).shape[1] == 4 * (96 + 6) + 6


def test_what_is_no_picture_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for name in ("nowhere.png", "text.png"):
        with pytest.raises(UserError, match=rf"^`input` .*{name} is no picture that can be opened") as refused:
            Request.of(SPEC, {"input": [str(tmp_path / name)]}, 1, 0)
        assert "\n" not in str(refused.value)


def test_words_of_other_models_are_refused() -> None:
    with pytest.raises(UserError, match=r"`text` is not for this model.*say input=PICTURE"):
        Request.of(SPEC, {"text": ["a red apple"]}, 1, 0)


def test_words_that_were_never_read_are_named() -> None:
    spec = DataSpec((3, 16, 16), "text", vocabulary=("a", "red", "circle"), captions=("a red circle",))
    module = SimpleNamespace(spec=spec, recipe={"condition": {"_target_": "ganlab.networks.text.WordEncoder"}})
    assert strange_words(module, ["a red circle"]) == ""
    assert "circel (did you mean circle?), qqq" in strange_words(module, ["a circel", "a qqq"])
