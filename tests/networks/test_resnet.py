import torch
from torch.nn.utils import parametrize

from ganlab.networks import resnet
from ganlab.networks.conditioning import ConditionalBatchNorm2d


def test_the_code_steers_every_resolution():
    """Two modulations a block (three blocks from 4 to 32 pixels) and one before the image."""
    generator = resnet.Generator((3, 32, 32), 5, width=4)
    modulations = [module for module in generator.modules() if isinstance(module, ConditionalBatchNorm2d)]
    assert len(modulations) == 2 * 3 + 1
    assert all(module.modulate.in_features == 5 for module in modulations)


def test_the_learned_start_sees_the_code_by_modulation_alone():
    torch.manual_seed(0)
    generator = resnet.Generator((3, 16, 16), 5, width=4, start=resnet.Learned())
    code = torch.randn(2, 5)
    assert torch.equal(*generator.start(code))
    first, second = generator(code)
    assert (first - second).abs().max() > 1e-4


def test_widths_double_towards_the_coarse_end():
    generator = resnet.Generator((3, 64, 64), 5, width=2, limit=4)
    assert [block.conv1.out_channels for block in generator.blocks] == [8, 8, 4, 2]
    assert resnet.Trunk((3, 64, 64), width=2, limit=4).feature_shape == (8, 4, 4)


def test_spectral_norm_is_on_every_convolution_or_on_none():
    for spectral in (True, False):
        trunk = resnet.Trunk((3, 32, 32), width=4, spectral=spectral)
        layers = [trunk.from_image] + [layer for b in trunk.blocks for layer in (b.conv1, b.conv2, b.skip)]
        assert {parametrize.is_parametrized(layer) for layer in layers} == {spectral}


def test_spectral_norm_bounds_every_layer():
    torch.manual_seed(0)
    trunk = resnet.Trunk((3, 32, 32), width=4, spectral=True)
    for _ in range(50):
        trunk(torch.zeros(1, 3, 32, 32))
    layers = [layer for layer in trunk.eval().modules() if parametrize.is_parametrized(layer)]
    largest = torch.stack([torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2) for layer in layers])
    torch.testing.assert_close(largest, torch.ones(len(layers)), rtol=0, atol=0.03)


def test_repeating_pixels_after_a_normalization_is_repeating_them_before():
    """What lets the second normalization of a block work on a quarter of the pixels: same mean, same variance."""
    torch.manual_seed(0)
    norm, x, code = ConditionalBatchNorm2d(3, 5), torch.randn(4, 3, 4, 4), torch.randn(4, 5)
    torch.testing.assert_close(resnet.upsample(norm(x, code)), norm(resnet.upsample(x), code))


def test_features_of_a_fresh_trunk_keep_the_images_scale():
    """Branches start small, so that depth changes the scale little: root mean square within a factor of 2 of 1."""
    torch.manual_seed(0)
    for side in (16, 128):
        features = resnet.Trunk((3, side, side), width=16)(torch.randn(4, 3, 1, 1).expand(4, 3, side, side))
        assert 0.5 < features.square().mean().sqrt() < 2
