"""Walks: they start and end at pictures that `ganlab.sample` draws, on arcs, along embeddings, around a seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.errors import UserError
from ganlab.latents import frames
from ganlab.latents.frames import check_out
from ganlab.latents.points import pictures
from ganlab.latents.walks import around, between, slerp
from ganlab.networks.conditional import outer_encoders
from ganlab.sample import SampleSettings, sample
from ganlab.sampling.drawing import draw, latents
from ganlab.walk import WalkSettings, walk
from tests.latents.conftest import random_module

TEXT = ("recipe=cgan_text2img", "condition=words", "network=resnet", "network.generator.word_attention=[8]")


def test_half_the_way_on_an_arc_is_the_diagonal() -> None:
    """Between (2, 0) and (0, 2) the arc's middle is sqrt(2) (1, 1), of length 2; the line's would be (1, 1)."""
    first, second = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert torch.allclose(slerp(first, second, 0.5), torch.full((1, 2), math.sqrt(2)))
    assert torch.allclose(slerp(first, second, 1 / 3).norm(), torch.tensor(2.0))
    assert torch.allclose(slerp(first, 2 * first, 0.5), 1.5 * first)


def test_a_walk_between_seeds_passes_each_of_them() -> None:
    module = random_module("recipe=vanilla")
    walk = between(module, [3, 5, 9], frames=4)
    assert len(walk) == 7
    stops = latents(module, [3, 5, 9])
    for place, stop in zip((0, 3, 6), stops, strict=True):
        assert torch.equal(walk[place].latent[0], stop)
    steps = [float((a.latent - b.latent).norm()) for a, b in itertools.pairwise(walk)]
    assert max(steps[:3]) / min(steps[:3]) < 1.3  # even steps on the arc, up to the latents' different lengths


@pytest.mark.parametrize("words", [TEXT, ("recipe=cgan_class",), ("recipe=stackgan",), ("recipe=patchgan",)], ids=str)
def test_a_walk_between_conditions_ends_at_both(words: tuple[str, ...], condition_of: Callable) -> None:
    """The ends are exactly the two conditions' pictures, and the middle is neither."""
    module = random_module(*words)
    two = condition_of(module, 2)
    walk = list(pictures(module, between(module, [7], two, frames=5)))
    (seven,) = (latents(module, [7]),)
    for place, row in ((0, slice(0, 1)), (4, slice(1, 2))):
        (alone,) = draw(module, two[row], seven)
        assert torch.equal(walk[place], alone[0])
    assert not torch.equal(walk[2], walk[0]) and not torch.equal(walk[2], walk[4])
    assert all(not encoder._forward_hooks for encoder in outer_encoders(module.average))


def test_a_frame_between_two_captions_is_the_mean_of_their_embeddings(condition_of: Callable) -> None:
    """For one encoder and no words, half the way is the generator at the mean of both embeddings."""
    module = random_module("recipe=cgan_class")
    two = condition_of(module, 2)
    middle = between(module, [7], two, frames=3)[1]
    with torch.no_grad():
        code = torch.cat([middle.latent, module.average.encoder(two).mean(0, keepdim=True)], 1)
        wanted = module.average.network(code)
    (drawn,) = pictures(module, [middle])
    assert torch.equal(drawn, ((wanted[0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8))


def test_a_walk_around_a_seed_is_a_circle_of_its_radius() -> None:
    module = random_module("recipe=vanilla")
    loop = around(module, 3, frames=41, radius=0.4)
    places = torch.cat([point.latent for point in loop])
    assert torch.equal(places[0], places[-1]) and torch.equal(places[:1], latents(module, [3]))
    lengths = places.norm(dim=1)
    assert torch.allclose(lengths, lengths[0].expand(41), rtol=1e-4)
    middle = places[:-1].mean(0)
    assert torch.allclose((places - middle).norm(dim=1), 0.4 * lengths, rtol=1e-3)


def test_stops_that_do_not_match_are_refused() -> None:
    module = random_module("recipe=vanilla")
    with pytest.raises(UserError, match="two stops"):
        between(module, [3])
    with pytest.raises(UserError, match="one for each of the 3 conditions, got 2"):
        between(random_module("recipe=cgan_class"), [1, 2], torch.arange(3))


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


def test_the_first_and_the_last_frame_are_files_of_sample(run: Path, tmp_path: Path) -> None:
    walk(WalkSettings(checkpoint=str(run), seeds=[4, 6], frames=5, out=str(tmp_path / "frames")))
    for seed, frame in ((4, 0), (6, 4)):
        sample(SampleSettings(checkpoint=str(run), seed=seed, count=1, out=str(tmp_path / "drawn")))
        drawn = tmp_path / "drawn" / f"{seed:05d}.png"
        assert (tmp_path / "frames" / f"{frame:05d}.png").read_bytes() == drawn.read_bytes()
    assert len(list((tmp_path / "frames").iterdir())) == 5


def test_an_animation_and_a_strip_have_all_frames(run: Path, tmp_path: Path) -> None:
    loop = {"checkpoint": str(run), "around": 4, "frames": 6}
    walk(WalkSettings(**loop, out=str(tmp_path / "a.gif"), fps=10))
    walk(WalkSettings(**loop, out=str(tmp_path / "a.png")))
    walk(WalkSettings(**loop, out=str(tmp_path / "frames")))
    frames = [pixels(file).repeat(6, 0).repeat(6, 1) for file in sorted((tmp_path / "frames").iterdir())]
    assert np.array_equal(pixels(tmp_path / "a.png"), np.concatenate(frames, 1))
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.size == (96, 96) and animation.info["duration"] == 100 and animation.info["loop"] == 0
        shown = []
        for number in range(animation.n_frames):
            animation.seek(number)
            shown.append(np.asarray(animation.convert("RGB")).astype(int))
    assert np.abs(shown[0] - frames[0]).mean() < 4  # 256 colours in place of all


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the reader leaves its pipe open
def test_a_video_has_all_frames_nearly_as_they_were_drawn(run: Path, tmp_path: Path) -> None:
    """H.264 is lossy: on the average a level is off by a few of 255."""
    loop = {"checkpoint": str(run), "around": 4, "frames": 6}
    walk(WalkSettings(**loop, out=str(tmp_path / "a.mp4"), fps=10))
    walk(WalkSettings(**loop, out=str(tmp_path / "a.png")))
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "a.mp4"))
    about = next(reader)
    assert about["size"] == (96, 96) and about["fps"] == 10 and about["codec"] == "h264"
    shown = np.concatenate([np.frombuffer(frame, np.uint8).reshape(96, 96, 3) for frame in reader], 1)
    drawn = pixels(tmp_path / "a.png")
    assert shown.shape == drawn.shape
    assert np.abs(shown.astype(int) - drawn).mean() < 4


def test_a_video_without_its_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "VIDEO", "a_package_that_nobody_has")
    with pytest.raises(UserError, match=r'pip install "ganlab\[video\]", or pass out=.*\.gif'):
        check_out(tmp_path / "a.mp4")


def test_another_ending_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`out` must end in \.gif, \.mp4 or \.png"):
        walk(WalkSettings(checkpoint=str(run), out=str(tmp_path / "a.avi")))
