import pytest
import torch
from torch import nn

from ganlab.networks import dcgan
from ganlab.networks.blocks import LayerNorm, NoNorm


def test_weights_start_as_in_the_paper():
    """N(0, 0.02): the standard error of a mean of n is 0.02 / sqrt(n), of a deviation about 0.02 / sqrt(2 n)."""
    torch.manual_seed(0)
    networks = [dcgan.Generator((3, 32, 32), 16, width=16), dcgan.Trunk((3, 32, 32), width=16)]
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    convolutions = [layer for network in networks for layer in network.modules() if isinstance(layer, kinds)]
    weights = torch.cat([layer.weight.flatten() for layer in convolutions])
    error = 0.02 / len(weights) ** 0.5
    assert weights.mean().item() == pytest.approx(0, abs=4 * error)
    assert weights.std().item() == pytest.approx(0.02, abs=4 * error)
    assert all((layer.bias == 0).all() for layer in convolutions if layer.bias is not None)


def test_batch_norm_is_everywhere_but_at_the_image():
    """At 64 pixels: four layers in the trunk, all normalized but the first; five in the generator, but the last."""
    trunk, generator = dcgan.Trunk((3, 64, 64), width=4), dcgan.Generator((3, 64, 64), 8, width=4)
    kinds = [type(layer) for layer in trunk.layers]
    assert kinds[:2] == [nn.Conv2d, nn.LeakyReLU]
    assert kinds[2:] == [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU] * 3
    kinds = [type(layer) for layer in generator.layers]
    assert kinds[1:-2] == [nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU] * 4
    assert kinds[-2:] == [nn.ConvTranspose2d, nn.Tanh]


def test_the_papers_widths_at_64_pixels():
    trunk = dcgan.Trunk((3, 64, 64), width=8)
    assert [layer.out_channels for layer in trunk.layers if isinstance(layer, nn.Conv2d)] == [8, 16, 32, 64]
    assert dcgan.Trunk((3, 256, 256), width=2, limit=4).feature_shape == (8, 4, 4)


@pytest.mark.parametrize(("normalization", "biased"), [(None, 1), (LayerNorm(), 3), (NoNorm(), 3)])
def test_a_bias_that_normalization_removes_is_left_out(normalization, biased):
    trunk = dcgan.Trunk((3, 32, 32), width=4, normalization=normalization)
    assert sum(isinstance(m, nn.Conv2d) and m.bias is not None for m in trunk.modules()) == biased
