"""The perceptual distance of ImageNet's stages: equal to its definition, 0 for copies, larger for what differs more."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganlab.metrics.imagenet import ImageNet
from ganlab.metrics.perceptual import embedding, pairwise_perceptual, perceptual_distance


@pytest.fixture(scope="module")
def imagenet() -> ImageNet:
    return ImageNet()


def pictures(count: int, seed: int = 0) -> Tensor:
    """Smooth colours: 4 x 4 random ones, enlarged."""
    levels = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 255
    return torch.nn.functional.interpolate(levels, (32, 32), mode="bilinear").to(torch.uint8)


def test_it_is_what_it_says(imagenet: ImageNet) -> None:
    """By a loop over stages: mean over places of |a/|a| - b/|b||^2 = 2 - 2 cos(a, b), then over stages."""
    first, second = pictures(3), pictures(3, 1)
    maps = [imagenet.stages(imagenet.prepare(x)) for x in (first, second)]
    stages = [(2 - 2 * torch.cosine_similarity(a, b, dim=1)).mean((1, 2)) for a, b in zip(*maps, strict=True)]
    expected = torch.stack(stages).mean(0)
    torch.testing.assert_close(perceptual_distance(imagenet, first, second), expected, rtol=1e-4, atol=1e-5)


def test_copies_are_at_no_distance_and_more_noise_is_farther(imagenet: ImageNet) -> None:
    images = pictures(3)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    noisy = [(images + s * noise).clamp(0, 255).to(torch.uint8) for s in (0, 5, 20, 80)]
    found = torch.stack([perceptual_distance(imagenet, images, x) for x in noisy])
    assert torch.equal(found[0], torch.zeros(3)) and (found.diff(dim=0) > 0).all() and found.max() < 4


def test_random_pairs_have_its_mean_and_copies_have_none(imagenet: ImageNet) -> None:
    """Of two pictures every pair is the same one."""
    two, random = embedding(imagenet, pictures(2)), torch.Generator().manual_seed(0)
    (expected,) = perceptual_distance(imagenet, pictures(2)[:1], pictures(2)[1:]).tolist()
    found = pairwise_perceptual(two, 20, random)
    assert found.value == pytest.approx(expected, rel=1e-4) and found.spread == pytest.approx(0, abs=1e-6)
    assert pairwise_perceptual(two[:1].expand(4, -1), 10, random).value == 0
