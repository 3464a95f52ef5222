"""Every recipe walks, is edited, projected and truncated, or says in one line why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import take
from ganlab.errors import UserError
from ganlab.latents.directions import difference, mixed, sefa
from ganlab.latents.points import check_pictures, has_styles, pictures, points
from ganlab.latents.projection import Search, project
from ganlab.latents.walks import around, between
from ganlab.sampling.drawing import check_truncation, draw, draws_masks, latents
from tests.latents.conftest import RECIPES, random_module

SEEDS = [3, 5]


@pytest.fixture(params=[*RECIPES, "vanilla network=stylegan2"])
def module(request: pytest.FixtureRequest) -> GenerativeModule:
    return random_module(*f"recipe={request.param}".split())


@pytest.fixture
def condition(module: GenerativeModule, condition_of: Callable) -> object:
    return take(condition_of(module, 1), [0])


@contextmanager
def refused(what: str) -> Iterator[None]:
    with pytest.raises(UserError, match=what) as caught:
        yield
    assert "\n" not in str(caught.value)


def is_points(module: GenerativeModule) -> bool:
    return len(module.spec.shape) == 1


def test_walks(module: GenerativeModule, condition: object) -> None:
    if is_points(module):
        with refused("draws points, not pictures"):
            check_pictures(module)
        return
    walk = list(pictures(module, between(module, SEEDS, condition, frames=3)))
    for frame, latent in zip((walk[0], walk[-1]), latents(module, SEEDS).split(1), strict=True):
        assert torch.equal(frame, next(draw(module, condition, latent))[0])
    loop = list(pictures(module, around(module, 3, condition, frames=4)))
    assert torch.equal(loop[0], walk[0]) and torch.equal(loop[0], loop[-1])
    assert not torch.equal(loop[0], loop[1])


def test_is_edited(module: GenerativeModule, condition: object) -> None:
    if is_points(module) or draws_masks(module):
        with refused("draws points|turns a picture into another"):
            sefa(module, condition)
        return
    start, other = points(module, SEEDS, condition)
    for direction in (*sefa(module, condition, 2), difference(module, [1, 2], [4], condition)):
        plain, moved = pictures(module, [start, direction.moved(start, 5.0)])
        assert not torch.equal(plain, moved)
    if not has_styles(module):
        with refused("styles are those of network=stylegan2"):
            mixed(module, start, other, [0])


def test_is_projected(module: GenerativeModule, condition: object) -> None:
    search = Search(tries=4, starts=2, steps=3, seed=70)
    if is_points(module) or draws_masks(module):
        with refused("draws points|turns a picture into another"):
            next(project(module, torch.zeros(3, 16, 16, dtype=torch.uint8), condition, search))
        return
    (wanted,) = pictures(module, points(module, [3], condition))
    states = list(project(module, wanted, condition, search))
    assert len(states) == 4
    assert states[-1].distance < states[0].distance


def test_is_truncated(module: GenerativeModule, condition: object) -> None:
    """At 1 nothing changes. At 0 all seeds give the picture of the mean. Half the way is neither."""
    if draws_masks(module):
        with refused("`truncation` is not for this model"):
            check_truncation(module, 0.5)
        return
    check_truncation(module, 0.5)
    two = take(condition, [0, 0])
    latent = latents(module, SEEDS)
    plain, same, half, none = (next(draw(module, two, latent, truncation=t)) for t in (1.0, 1, 0.5, 0.0))
    assert torch.equal(plain, same)
    assert (none[0].float() - none[1].float()).abs().max() <= 1
    assert not torch.equal(half, plain) and not torch.equal(half, none)
