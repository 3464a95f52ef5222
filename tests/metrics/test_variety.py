"""Variety within a caption: known distances, which captions are asked for, and what real pictures have."""

from __future__ import annotations

import pytest
import torch

from ganlab.data.pictures import Pictures
from ganlab.metrics.perceptual import perceptual_distance, perceptual_network
from ganlab.metrics.samples import Samples
from ganlab.metrics.target import Target
from ganlab.metrics.variety import EACH, Variety, distance_within


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    """Smooth colours: 4 x 4 random ones, enlarged."""
    levels = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 255
    return torch.nn.functional.interpolate(levels, (32, 32), mode="bilinear").to(torch.uint8)


def target(count: int = 64) -> Target:
    """Two pictures of "a", three of "b", one of each other letter."""
    captions = list("aabbbcdefg")
    return Target(count, split="train", pictures=Pictures(pictures(10), captions), kind="text")


def test_the_distance_is_the_mean_over_pairs():
    """0, 1, 3: squared distances 1, 4 and 9, mean 14 / 3."""
    assert distance_within(torch.tensor([[0.0], [1.0], [3.0]])) == pytest.approx(14 / 3)


def test_each_caption_of_several_pictures_comes_eight_times():
    (found,) = Variety.targets(target(1000))
    assert found.count == 2 * EACH and set(found.rows) == {0, 2}
    assert Variety.targets(target(2))[0].count == EACH


def test_a_shared_wording_is_asked_for_in_a_picture_that_has_it():
    """All four are fruits and the first two are apples: both captions are asked for, each in a picture of its own."""
    said = [["red apple", "apple", "fruit"], ["green apple", "apple", "fruit"], ["pear", "fruit"], ["plum", "fruit"]]
    known = Pictures(pictures(4), [first for first, *_ in said], wordings=said)
    (found,) = Variety.targets(Target(64, split="train", pictures=known, kind="text"))
    asked = found.captions(torch.arange(found.count))
    assert sorted(set(asked)) == ["apple", "fruit"] and asked.count("apple") == EACH
    assert all(caption in said[row] for caption, row in zip(asked, found.rows, strict=True))


def test_pictures_without_a_common_caption_are_asked_for_one_by_one_and_nothing_is_said_of_reals():
    known = Pictures(pictures(4), list("abcd"))
    (found,) = Variety.targets(Target(64, split="train", pictures=known, kind="text"))
    assert found.count == 4 * EACH
    metric = Variety(found)
    metric.update(Samples(pictures(found.count), torch.arange(found.count)))
    assert set(metric.results()) == {"variety_imagenet"}


def test_samples_and_reals_by_hand():
    """One caption: samples are four times picture A, four times B, so 16 of 28 pairs are of two pictures."""
    (few,) = Variety.targets(target(2 * EACH))
    first, second = pictures(2, 1).split(1)
    metric = Variety(few)
    metric.update(Samples(torch.cat([first, second]).repeat(EACH, 1, 1, 1), torch.arange(2 * EACH)))
    found = metric.results()
    own = perceptual_distance(perceptual_network(), first, second).item()
    assert found["variety_imagenet"].value == pytest.approx(16 / 28 * own, rel=1e-3)
    known = few.real.get(slice(None))
    chosen = ((0, 1), (2, 3), (2, 4), (3, 4))
    pairs = [perceptual_distance(perceptual_network(), known[[a]], known[[b]]).item() for a, b in chosen]
    expected = (pairs[0] + sum(pairs[1:]) / 3) / 2
    assert found["variety_of_reals_imagenet"].value == pytest.approx(expected, rel=1e-3)
    assert found["variety_imagenet"].protocol["captions"] == 2


def test_copies_have_no_variety():
    (few,) = Variety.targets(target(EACH))
    metric = Variety(few)
    metric.update(Samples(pictures(1).expand(EACH, -1, -1, -1), torch.arange(EACH)))
    assert metric.compute().value == pytest.approx(0, abs=1e-6)
