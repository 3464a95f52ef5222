import pytest
import torch
from torch import nn

from ganlab.networks.blocks import SIDES, BatchNorm, NoNorm, conv1, conv3, downsample, halvings, spectral_norm, upsample


@pytest.mark.parametrize("side", SIDES)
def test_halvings_end_at_four_pixels(side):
    assert side / 2 ** halvings(side) == 4


def test_downsampling_undoes_upsampling():
    x = torch.randn(2, 3, 4, 4)
    assert upsample(x).shape == (2, 3, 8, 8)
    torch.testing.assert_close(downsample(upsample(x)), x)


def test_convolutions_keep_the_second_moment():
    """E[conv3(relu(x))^2] = E[x^2] for x ~ N(0, 1) away from the border, and conv1 keeps E[x^2]; 5 % for sampling."""
    torch.manual_seed(0)
    x = torch.randn(8, 256, 12, 12)
    inner = conv3(256, 256)(x.relu())[:, :, 1:-1, 1:-1]
    assert inner.square().mean().item() == pytest.approx(1, abs=0.05)
    assert conv1(256, 256)(x).square().mean().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("layer", [nn.Conv2d(8, 16, 3), nn.Linear(30, 20)], ids=["conv", "linear"])
def test_spectral_norm_holds_the_largest_singular_value_at_one(layer):
    """15 power iterations at the start and 100 forward passes come within 2 % of the exact value, from above."""
    torch.manual_seed(0)
    nn.init.normal_(layer.weight, 0, 3)
    normed = spectral_norm(layer)
    x = torch.randn(1, 8, 5, 5) if isinstance(layer, nn.Conv2d) else torch.randn(1, 30)
    for _ in range(100):
        normed(x)
    largest = torch.linalg.matrix_norm(normed.eval().weight.flatten(1), ord=2).item()
    assert largest == pytest.approx(1, abs=0.02)


def test_batch_norm_starts_near_one_and_no_norm_does_nothing():
    torch.manual_seed(0)
    weight = BatchNorm()(10_000).weight
    assert weight.mean().item() == pytest.approx(1, abs=4 * 0.02 / 100)
    assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    x = torch.randn(2, 3, 4, 4)
    assert NoNorm()(3)(x) is x
