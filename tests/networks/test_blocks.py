import pytest
import torch

from ganlab.networks.blocks import SIDES, BatchNorm, NoNorm, conv1, conv3, downsample, halvings, upsample


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


def test_batch_norm_starts_near_one_and_no_norm_does_nothing():
    torch.manual_seed(0)
    weight = BatchNorm()(10_000).weight
    assert weight.mean().item() == pytest.approx(1, abs=4 * 0.02 / 100)
    assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    x = torch.randn(2, 3, 4, 4)
    assert NoNorm()(3)(x) is x
