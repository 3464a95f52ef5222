"""The oracle: right about true drawings, no luckier than chance, forgiving of small flaws and of nothing else."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import Tensor

from ganlab.data.drawing import draw, lay_out
from ganlab.data.scenes import Scene, parse, scenes, things
from ganlab.metrics.caption_accuracy import ATTRIBUTES, CaptionAccuracy, caption_accuracy, stands
from ganlab.metrics.sightings import Sighting, components, look


@lru_cache
def world(count: int = 500, side: int = 32, pairs: float = 0.75) -> tuple[Tensor, list[Scene]]:
    every, _ = things(())
    told = scenes(count, every, every, pairs, np.random.default_rng(0))
    return torch.from_numpy(draw(lay_out(told, np.random.default_rng(1)), side)), told


def one(caption: str, side: int = 32) -> Tensor:
    return torch.from_numpy(draw(lay_out([parse(caption)], np.random.default_rng(0)), side))


def judge(images: Tensor, told: list[Scene]) -> CaptionAccuracy:
    return caption_accuracy(images, [str(scene) for scene in told])


@pytest.mark.parametrize(("side", "count"), [(32, 500), (64, 300), (128, 100)])
def test_true_drawings_are_right_in_every_attribute(side: int, count: int) -> None:
    accuracy = judge(*world(count, side))
    assert accuracy.all >= 0.99 and accuracy.pictures == count
    assert min(getattr(accuracy, name) for name in ATTRIBUTES) >= 0.99


def test_shuffled_captions_are_right_by_chance_only() -> None:
    """Chance is the share of captions that happen to be dealt to a picture of the very same scene: 0.3 %."""
    images, told = world()
    dealt = [told[i] for i in np.random.default_rng(2).permutation(len(told))]
    chance = np.mean([one.key == other.key for one, other in zip(told, dealt, strict=True)])
    assert judge(images, dealt).all == pytest.approx(chance, abs=0.002)
    assert chance < 0.02


def test_count_of_shuffled_captions_is_at_chance() -> None:
    """Equal counts by chance: 0.75^2 + 0.25^2 = 0.625; a standard error at 500 is 0.022, four are allowed."""
    images, told = world()
    dealt = [told[i] for i in np.random.default_rng(2).permutation(len(told))]
    assert judge(images, dealt).count == pytest.approx(0.625, abs=0.09)


def test_both_ways_to_tell_a_scene_are_right() -> None:
    images, told = world(100)
    assert judge(images, [scene.turned for scene in told]).all == judge(images, told).all


@pytest.mark.parametrize(
    ("caption", "wrong"),
    [
        ("a large red circle above a small blue square", {"size"}),
        ("a small red square above a small blue square", {"shape"}),
        ("a small green circle above a small blue square", {"colour"}),
        ("a small red circle below a small blue square", {"relation"}),
        ("a small red circle left of a small blue square", {"relation"}),
        ("a small blue circle above a small red square", {"colour"}),
        ("a small red circle", {"count"}),
    ],
)
def test_a_wrong_word_counts_against_its_own_attribute(caption: str, wrong: set[str]) -> None:
    accuracy = caption_accuracy(one("a small red circle above a small blue square"), [caption])
    assert accuracy.all == 0
    assert {name for name in ATTRIBUTES if getattr(accuracy, name) == 0} == wrong


def test_the_same_things_the_other_way_round_are_a_wrong_relation() -> None:
    """Wrong colours in the right places would be as near; which thing is which is then told by colour."""
    accuracy = caption_accuracy(
        one("a small red circle above a small blue circle"), ["a small blue circle above a small red circle"]
    )
    assert accuracy.colour == 1 and accuracy.relation == 0 and accuracy.all == 0


def test_noise_and_a_little_blur_are_forgiven() -> None:
    images, told = world()
    noisy = images + 15 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    kernel = torch.tensor([0.12, 0.76, 0.12])  # a Gaussian of half a pixel
    blurred = torch.nn.functional.conv2d(
        images.float().flatten(0, 1)[:, None], (kernel[:, None] * kernel)[None, None], padding=1
    ).view(images.shape)
    blurred[:, :, [0, -1]], blurred[..., [0, -1]] = images[:, :, [0, -1]].float(), images[..., [0, -1]].float()
    for flawed in (noisy, blurred):
        assert judge(flawed.round().clamp(0, 255).byte(), told).all >= 0.97


def test_garbage_is_refused() -> None:
    images, told = world(100)
    random = torch.randint(0, 256, images.shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    halves = images // 2 + images.roll(1, 0) // 2
    for garbage in (random, torch.full_like(images, 255), torch.zeros_like(images), halves):
        assert judge(garbage, told).all < 0.05


def test_a_blob_is_no_shape_and_a_third_thing_is_one_too_many() -> None:
    bar = torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)
    bar[0, :, 14:18, 4:28] = torch.tensor([222, 45, 45], dtype=torch.uint8).view(3, 1, 1)
    assert look(bar)[0].things[0].shape == "unclear"
    three = one("a small red circle above a small red square".replace("red square", "blue square"))
    three[0, :, 12:18, :6] = torch.tensor([40, 165, 75], dtype=torch.uint8).view(3, 1, 1)
    assert len(look(three)[0].things) == 3


def test_components_by_hand() -> None:
    labels = torch.tensor([[[0, 0, -1, 1], [-1, -1, -1, 1], [0, -1, 2, -1], [-1, 0, -1, -1]]])
    parts = components(labels)[0]
    assert parts[0, 0] == parts[0, 1] != parts[2, 0] and parts[2, 0] == parts[3, 1] > 0
    assert parts[0, 3] == parts[1, 3] != parts[2, 2]
    assert (parts[labels[0] < 0] == 0).all()


def test_relations_are_within_45_degrees() -> None:
    def at(x: float, y: float) -> Sighting:
        return Sighting("small", "red", "circle", (x, y))

    assert stands(at(0.5, 0.2), at(0.6, 0.5), "above") and not stands(at(0.2, 0.2), at(0.6, 0.5), "above")
    assert stands(at(0.2, 0.2), at(0.6, 0.5), "left of") and not stands(at(0.5, 0.2), None, "above")


def test_relation_is_of_pairs_only_and_wrong_lengths_are_refused() -> None:
    accuracy = caption_accuracy(one("a small red circle"), ["a small red circle"])
    assert accuracy.all == 1 and np.isnan(accuracy.relation)
    with pytest.raises(ValueError, match="a caption a picture"):
        caption_accuracy(one("a small red circle"), [])
