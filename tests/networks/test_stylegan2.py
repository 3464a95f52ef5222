"""StyleGAN2: the published sizes, the scale at the start, styles and their mixing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlab.errors import UserError
from ganlab.networks import stylegan2
from ganlab.networks.equalized import EqualConv2d, EqualLinear
from ganlab.networks.logits import RealismLogit
from ganlab.networks.styles import Mapping, Styles


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def parameters(*networks: nn.Module) -> int:
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


@pytest.mark.parametrize(
    ("side", "width", "limit", "generator", "discriminator"),
    [(256, 64, 8, 24_767_458, 24_001_089), (1024, 32, 16, 30_370_060, 29_012_513)],
)
def test_the_published_numbers_of_parameters(
    side: int, width: int, limit: int, generator: int, discriminator: int
) -> None:
    """Configuration F at 1024 pixels, and with half as many channels at 256: what the authors' code prints.

    By hand for a 3 x 3 layer of 512 channels: 512 512 9 weights, 512 biases, a strength, 512 512 + 512 for the style.
    """
    shape = (3, side, side)
    with torch.device("meta"):
        made = stylegan2.Generator(shape, 512, width=width, limit=limit)
        trunk = stylegan2.Trunk(shape, width=width, limit=limit)
        assert parameters(made.start) == 512 * 512 * 9 + 512 + 1 + 512 * 512 + 512
        assert parameters(made) == generator
        assert parameters(trunk, RealismLogit(trunk.feature_shape)) == discriminator


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 32, 48), (3, 64, 64)])
@pytest.mark.parametrize("residual", [False, True])
def test_pictures_of_a_fresh_generator_have_a_deviation_near_one(shape: tuple[int, ...], residual: bool) -> None:
    """Before tanh, over codes, a mean over pixels."""
    generator = stylegan2.Generator(shape, 32, width=16, limit=4, style_dim=32, depth=2, residual=residual)
    code = torch.randn(64, 32)
    with torch.no_grad():
        assert 0.3 < generator.paint(generator.styles(code), code).std(0).mean() < 2.5


@pytest.mark.parametrize("residual", [False, True])
def test_features_of_a_fresh_trunk_keep_the_images_scale(residual: bool) -> None:
    for side in (16, 64):
        trunk = stylegan2.Trunk((3, side, side), width=16, residual=residual, dense=False)
        with torch.no_grad():
            features = trunk(torch.randn(8, 3, 1, 1).expand(8, 3, side, side))
        assert 0.4 < features.square().mean().sqrt() < 2.5


def test_equalized_layers_are_plain_ones_of_scaled_weights() -> None:
    """What He et al. 2015 would start with has the deviation 1 / sqrt(fan in); here the weights have 1 / rate."""
    linear, x = EqualLinear(400, 50, rate=0.01, offset=1.0), torch.randn(3, 400)
    assert linear.weight.std().item() == pytest.approx(100, rel=0.05)
    expected = x @ linear.weight.t() * 0.01 / 20 + 1
    torch.testing.assert_close(linear(x), expected, rtol=1e-4, atol=1e-4)
    conv, image = EqualConv2d(4, 8, 3, padding=1), torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(conv(image), nn.functional.conv2d(image, conv.weight / 6, conv.bias, padding=1))


def test_a_step_of_adam_moves_a_mapping_a_hundredth_as_far() -> None:
    """Adam moves each stored weight by its rate; what the layer multiplies by then moves by rate / sqrt(inputs)."""
    moved = {}
    for rate in (1.0, 0.01):
        layer = EqualLinear(16, 16, rate=rate)
        before = (layer.weight * layer.scale).detach().clone()
        layer(torch.randn(4, 16)).square().sum().backward()
        torch.optim.Adam(layer.parameters(), lr=1e-3).step()
        moved[rate] = (layer.weight * layer.scale - before).abs().mean().item()
    assert moved[0.01] == pytest.approx(0.01 * moved[1.0], rel=0.01)


def test_mixing_changes_the_later_layers_and_the_latent_only() -> None:
    """Each sample has its own style up to some layer and one other from there on; the first layer is always its own."""
    styles = Styles(Mapping(6, 8, 2), 5, latent_dim=4, mixing=1.0)
    code = torch.randn(64, 6)
    own, mixed = styles.eval()(code), styles.train()(code)
    same = (own == mixed).all(2)
    assert same[:, 0].all() and not same[:, -1].any()
    assert (same.int().diff(dim=1) <= 0).all() and len(same.sum(1).unique()) == 4
    styles.latent_dim = 0
    assert torch.equal(styles(code), own)


def test_only_the_share_that_is_asked_for_is_mixed() -> None:
    styles = Styles(Mapping(4, 4, 1), 3, latent_dim=4, mixing=0.25)
    code = torch.randn(2000, 4)
    mixed = (styles(code) != styles.eval()(code)).any(2).any(1)
    assert mixed.float().mean().item() == pytest.approx(0.25, abs=0.04)


def test_the_last_map_sees_the_deviation_of_its_group() -> None:
    """A batch of one picture eight times gives other features than the picture among seven others."""
    trunk, images = stylegan2.Trunk((1, 16, 16), width=4, deviation=4), torch.randn(8, 1, 16, 16)
    collapsed = trunk(images[:1].expand(8, -1, -1, -1))
    assert (trunk(images)[0] - collapsed[0]).abs().max() > 1e-3
    assert torch.isfinite(trunk(images[:7])).all()


@pytest.mark.parametrize(("setting", "value"), [("depth", 0), ("mixing", 1.5)])
def test_settings_that_cannot_be_are_refused(setting: str, value: float) -> None:
    with pytest.raises(UserError, match=f"^`{setting}` must be .*, got {value}"):
        stylegan2.Generator((3, 16, 16), 4, **{setting: value})
