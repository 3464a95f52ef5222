"""Samples during training: when, where, of what, and without leaving a trace in the run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.callbacks.pictures import SampleGrid, prompts
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec, GanData
from ganlab.data.pictures import Pictures
from ganlab.errors import UserError
from ganlab.loggers import TensorBoard
from ganlab.networks import mlp, patch, unet
from ganlab.networks.architecture import Architecture
from ganlab.objectives import NonSaturating
from ganlab.variants import VanillaGAN
from ganlab.variants.patchgan import PatchGAN

Make = Callable[..., Any]


def samples(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "run" / "samples").iterdir())


def test_saved_at_the_start_on_schedule_and_at_the_end(vanilla: Make, noise: Make, run: Make, tmp_path: Path) -> None:
    """8 images an iteration: 40 are passed after 5 iterations, 80 after 10; 11 iterations end at 88."""
    run(vanilla(), noise(), 11, SampleGrid(every=40, count=4, columns=2))
    assert samples(tmp_path) == [f"{images:010d}.png" for images in (0, 40, 80, 88)]
    with Image.open(tmp_path / "run/samples/0000000088.png") as sheet:
        assert sheet.size[0] == 2 * (96 + 6) + 6


def test_not_saved_again_at_the_start_of_a_resumed_run(vanilla: Make, noise: Make, run: Make, tmp_path: Path) -> None:
    first = run(vanilla(), noise(), 3)
    first.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    run(vanilla(), noise(), 6, SampleGrid(every=40, count=2), ckpt_path=tmp_path / "a.ckpt", weights_only=True)
    assert samples(tmp_path) == ["0000000040.png", "0000000048.png"]


def test_prompts_come_first_and_captions_of_the_pictures_follow() -> None:
    pictures = Pictures(np.zeros((3, 1, 8, 8), np.uint8), ["x", "y", "z"])
    wanted = prompts(DataSpec((1, 8, 8), "text", prompts=("a", "b")), pictures, 5, 0)
    assert wanted.captions is not None
    assert wanted.captions[:2] == ["a", "b"]
    assert sorted(wanted.captions[2:]) == ["x", "y", "z"]
    assert wanted.condition == wanted.captions


def test_every_class_in_turn() -> None:
    spec = DataSpec((1, 8, 8), "class", classes=("cat", "dog"))
    wanted = prompts(spec, Pictures(np.zeros((3, 1, 8, 8), np.uint8), torch.tensor([0, 1, 1])), 3, 0)
    assert wanted.captions == ["cat", "dog", "cat"]
    assert isinstance(wanted.condition, torch.Tensor)
    assert wanted.condition.tolist() == [0, 1, 0]


class Negatives(GanData):
    """Grey pictures of levels 0, 10, 20, ..., told by their negatives."""

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        images = np.arange(0, 200, 10, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 1, 16, 16), np.uint8)
        pairs = Pictures(images, torch.from_numpy(255 - images))
        return pairs, pairs, DataSpec((1, 16, 16), "image")


def test_input_generated_and_truth_side_by_side(adam: Side, run: Make, tmp_path: Path) -> None:
    """Seven columns hold two triples: held-out inputs, each a negative of the truth two cells to its right."""
    networks = Architecture(partial(unet.Generator, width=2), partial(patch.Discriminator, patch=16, width=2))
    module = PatchGAN(DataSpec((1, 16, 16), "image"), networks, NonSaturating(), adam, adam, MovingAverage())
    data = Negatives()
    data.setup()
    data.reals_per_iteration = 8
    run(module, data, 1, SampleGrid(count=4, columns=7))
    with Image.open(tmp_path / "run/samples/0000000008.png") as image:
        sheet = np.asarray(image)[..., 0].astype(int)
    step = 96 + 6
    assert sheet.shape[1] == 6 * step + 6
    for left in (0, 3):
        given, truth = (int(sheet[6 + 48, 6 + 48 + column * step]) for column in (left, left + 2))
        assert truth % 10 == 0
        assert given + truth == 255


class Ring(GanData):
    """A few points."""

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        points = Pictures(torch.randn(100, 2, generator=torch.Generator().manual_seed(0)))
        return points, points, DataSpec((2,))


def test_points_become_a_scatter_plot(adam: Side, run: Make, tmp_path: Path) -> None:
    networks = Architecture(partial(mlp.Generator, width=4, depth=2), partial(mlp.Trunk, width=4, depth=2))
    module = VanillaGAN(DataSpec((2,)), networks, NonSaturating(), adam, adam, MovingAverage(), 4)
    data = Ring()
    data.setup()
    data.reals_per_iteration = 8
    run(module, data, 1, SampleGrid())
    with Image.open(tmp_path / "run/samples/0000000008.png") as sheet:
        assert sheet.size == (500, 500)


def test_tensorboard_gets_the_sheet(vanilla: Make, noise: Make, trainer: Make, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    options = {"callbacks": [SampleGrid(count=2)], "logger": TensorBoard(tmp_path), "default_root_dir": tmp_path}
    trainer(2, enable_checkpointing=False, **options).fit(vanilla(), noise())
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Images("samples")] == [0, 2]


def test_a_picture_that_cannot_be_drawn_is_no_reason_to_stop(
    vanilla: Make, noise: Make, run: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "samples").write_text("a file where a folder should be")
    trainer = run(vanilla(), noise(), 11, SampleGrid(every=40))
    lines = [line for line in capsys.readouterr().err.splitlines() if "cannot measure samples" in line]
    assert trainer.global_step == 11
    assert len(lines) == 1


def test_bad_settings() -> None:
    with pytest.raises(UserError, match="`every` must be at least 1, got 0"):
        SampleGrid(every=0)
