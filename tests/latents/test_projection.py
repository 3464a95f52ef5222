"""Projection: a generated picture comes back, a real one comes nearer than any of 1,000 random pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import to_float
from ganlab.data.emoji import EmojiData
from ganlab.edit import EditSettings, edit
from ganlab.errors import UserError
from ganlab.latents.points import Point, image, pictures, points, together
from ganlab.latents.projection import Goal, Search, State, project, read_point, write_point
from ganlab.metrics.perceptual import embedding, embedding_with_grad, perceptual_network
from ganlab.project import ProjectSettings
from ganlab.project import project as project_command
from tests.latents.conftest import random_module

BRIEF = Search(tries=50, starts=6, steps=100, rate=0.3, seed=10_000)
ERROR = 2.0
"""The stated error: a generated picture comes back with a mean absolute difference of at most so many levels of 255."""


def levels_apart(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first.int() - second.int()).abs().float().mean())


def last_of(module: GenerativeModule, picture: torch.Tensor, search: Search = BRIEF) -> State:
    *_, last = project(module, picture, search=search)
    return last


def test_a_generated_picture_comes_back(trained: GenerativeModule) -> None:
    """Its latent is none of the tries. Other pictures are ten times as far away."""
    (wanted, other) = pictures(trained, points(trained, [3, 4]))
    found = last_of(trained, wanted)
    assert levels_apart(found.picture, wanted) < ERROR < levels_apart(other, wanted) / 10


def test_a_real_picture_comes_nearer_than_the_best_of_a_thousand(trained: GenerativeModule) -> None:
    data = EmojiData(size=16)
    data.setup()
    real = data.reference.get(np.array([5]))[0]
    found = last_of(trained, real)
    goal = Goal.of(real, 1.0, trained.device)
    with torch.no_grad():
        parts = [
            goal.parts(image(trained, together(trained, range(start, start + 50)))) for start in range(0, 1000, 50)
        ]
    best = goal.total(torch.cat(parts)).min()
    assert found.distance < 0.9 * float(best)


def test_a_picture_with_styles_comes_back(tmp_path: Path) -> None:
    """The shift of styles is stored beside the latent: reading both gives the same picture."""
    module = random_module("recipe=vanilla", "network=stylegan2")
    (wanted, other) = pictures(module, points(module, [3, 4]))
    found = last_of(module, wanted)
    assert found.point.offset is not None and found.point.offset.abs().max() > 0
    assert levels_apart(found.picture, wanted) < levels_apart(other, wanted) / 5  # random weights: a rough landscape
    again = read_point(module, write_point(tmp_path / "latent.safetensors", found.point))
    (picture,) = pictures(module, [again])
    assert levels_apart(picture, found.picture) < 0.01


def test_each_state_is_the_best_so_far(trained: GenerativeModule) -> None:
    (wanted,) = pictures(trained, points(trained, [3]))
    states = list(project(trained, wanted, search=Search(tries=10, starts=4, steps=9, seed=50)))
    assert [state.step for state in states] == list(range(10))
    distances = [state.distance for state in states]
    assert distances == sorted(distances, reverse=True) and distances[-1] < distances[0]
    for state in (states[0], states[-1]):
        (picture,) = pictures(trained, [state.point])
        assert levels_apart(picture, state.picture) < 0.01
        assert state.distance == pytest.approx(state.pixels + state.perceptual)
    pixels = (to_float(states[-1].picture) - to_float(wanted)).square().mean()
    assert states[-1].pixels == pytest.approx(float(pixels), rel=0.05)


def test_the_best_condition_of_several_is_found() -> None:
    """The picture of class 2 is found with class 2, at its own seed among the tries."""
    module = random_module("recipe=cgan_class")
    (wanted,) = pictures(module, [Point(points(module, [20])[0].latent, torch.tensor([2]))])
    first, *_ = project(module, wanted, torch.arange(3), Search(tries=9, starts=1, steps=0, seed=12))
    assert first.point.condition.tolist() == [2] and first.pixels < 1e-4


def test_an_autoencoder_starts_from_its_own_code() -> None:
    module = random_module("recipe=autoencoder")
    (wanted,) = pictures(module, points(module, [3]))
    (state,) = project(module, wanted, search=Search(tries=1, starts=2, steps=0))
    with torch.no_grad():
        own = module.average.code(to_float(wanted[None]))
    near = [float((state.point.latent - one).norm()) for one in (own, points(module, [0])[0].latent)]
    assert min(near) < 1e-4


def test_gradients_reach_stage_one_of_a_finished_stackgan() -> None:
    module = random_module("recipe=stackgan")
    module.finish_stage_one()
    latent = points(module, [3])[0].latent.requires_grad_(True)
    (slope,) = torch.autograd.grad(image(module, Point(latent, ["a red apple"])).square().sum(), latent)
    assert all(part.abs().sum() > 0 for part in slope.split(module.generator.parts, 1)[::2])


def test_the_embedding_with_gradients_is_the_embedding() -> None:
    levels = torch.randint(0, 256, (2, 1, 16, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    network = perceptual_network()
    found = embedding_with_grad(network, to_float(levels).requires_grad_(True))
    assert torch.allclose(found, embedding(network, levels), atol=1e-4)
    assert found.requires_grad


def test_the_command_leaves_its_files(run: Path, trained: GenerativeModule, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(tmp_path / "my.png")
    out = tmp_path / "found"
    settings = {"checkpoint": str(run), "image": str(tmp_path / "my.png"), "tries": 5, "starts": 2, "steps": 12}
    project_command(ProjectSettings(**settings, out=str(out)))
    told = json.loads((out / "distances.json").read_text())
    assert told["step"] == 12 and told["distance"] <= told["approach"][0]["distance"]
    assert told["distance"] == pytest.approx(told["pixels"] + told["perceptual"])
    with Image.open(out / "approach.png") as strip:
        assert strip.size == (9 * 96, 96)
    (picture,) = pictures(trained, [read_point(trained, out / "latent.safetensors")])
    with Image.open(out / "projected.png") as image:
        assert levels_apart(picture, torch.from_numpy(np.array(image)).permute(2, 0, 1)) < 0.01
    edit(EditSettings(checkpoint=str(run), latent=str(out / "latent.safetensors"), count=1, out=str(out)))
    assert (out / "sefa-0.png").exists()


def test_a_latent_of_another_model_is_refused(trained: GenerativeModule, tmp_path: Path) -> None:
    file = write_point(tmp_path / "latent.safetensors", Point(torch.zeros(1, 3)))
    with pytest.raises(UserError, match=r"is \(1, 3\), not the \(1, 32\) of this model"):
        read_point(trained, file)
    file.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"was not written by ganlab\.project"):
        read_point(trained, file)


def test_what_is_no_picture_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "my.png").write_text("no picture")
    with pytest.raises(UserError, match=r"`image` .*my\.png is no picture that can be opened"):
        project_command(ProjectSettings(checkpoint=str(run), image=str(tmp_path / "my.png")))
