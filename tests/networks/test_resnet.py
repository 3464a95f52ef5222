import torch

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
