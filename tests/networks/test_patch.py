"""Patch discriminators: how far a logit sees, by formula and by gradients; scales; what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlab.errors import UserError
from ganlab.networks.blocks import NoNorm
from ganlab.networks.patch import PLANS, Discriminator, Patches, half, outputs, receptive_field


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_the_receptive_fields_are_those_of_the_paper() -> None:
    assert list(PLANS) == [1, 16, 34, 70, 142, 286]
    assert receptive_field(((3, 1), (3, 1))) == 5  # each 3 x 3 adds two pixels
    assert receptive_field(((2, 2), (3, 1))) == 6  # three blocks of two


@pytest.mark.parametrize("patch", PLANS)
def test_a_logit_sees_so_many_pixels_and_no_more(patch: int) -> None:
    """The gradient of one logit, far enough from the border, is other than zero on a square of `patch` pixels: each
    row and column in it, none outside. Without normalization, which would see everything."""
    plan = PLANS[patch]
    side = 1 if patch == 1 else 2 * patch
    image = torch.randn(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    network = Patches(1, plan, 2, 2, NoNorm()).double()
    for parameter in network.parameters():
        nn.init.uniform_(parameter, 0.1, 1)  # positive, so that no paths cancel
    logits = network(image)
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], image)
    seen = gradient[0, 0] != 0
    rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
    for places in (rows, columns):
        assert len(places) == patch
        assert places.tolist() == list(range(int(places[0]), int(places[0]) + patch))


@pytest.mark.parametrize(("side", "patch", "logits"), [(256, 70, 30), (256, 1, 256), (64, 16, 30), (64, 142, 2)])
def test_how_many_logits(side: int, patch: int, logits: int) -> None:
    """30 x 30 of 70 pixels for 256 is the paper's."""
    network = Discriminator((6, side, side), patch, width=2)
    (judged,) = network(torch.randn(1, 6, side, side))
    assert judged.shape == (1, 1, logits, logits)
    assert outputs(side, PLANS[patch]) == logits


def test_the_seventy_pixel_network_is_the_one_of_the_paper() -> None:
    """C64-C128-C256-C512 and a last convolution to one channel (appendix 6.1.2): the first is not normalized."""
    with torch.device("meta"):
        network = Discriminator((6, 256, 256))
    layers = list(network.scales[0])  # type: ignore[arg-type]
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64, 128, 256, 512, 1]
    assert [layer.stride[0] for layer in convolutions] == [2, 2, 2, 1, 1]
    assert sum(isinstance(layer, nn.InstanceNorm2d) for layer in layers) == 3
    assert isinstance(layers[1], nn.LeakyReLU)


def test_each_pixel_by_itself() -> None:
    """With a field of one pixel, shuffled pixels get shuffled logits; the norm's statistics are the same."""
    network = Discriminator((6, 16, 16), patch=1, width=4)
    images, order = torch.randn(2, 6, 16, 16), torch.randperm(256)
    shuffled = images.flatten(2)[..., order].unflatten(2, (16, 16))
    (straight,), (mixed,) = network(images), network(shuffled)
    torch.testing.assert_close(straight.flatten(2)[..., order], mixed.flatten(2), rtol=1e-4, atol=1e-5)


def test_half_ignores_what_is_beyond_the_border() -> None:
    """Windows of 3 around every second pixel: a constant stays one, and a corner is the mean of its four pixels."""
    torch.testing.assert_close(half(torch.full((1, 1, 8, 8), 3.0)), torch.full((1, 1, 4, 4), 3.0))
    corner = torch.zeros(1, 1, 8, 8)
    corner[0, 0, 0, 0] = 1
    assert half(corner)[0, 0, 0, 0].item() == pytest.approx(1 / 4)


def test_scales_judge_smaller_pictures_with_weights_of_their_own() -> None:
    network = Discriminator((6, 64, 64), patch=16, scales=3, width=4)
    images = torch.randn(2, 6, 64, 64)
    judged = network(images)
    assert [logits.shape[-1] for logits in judged] == [outputs(side, PLANS[16]) for side in (64, 32, 16)]
    torch.testing.assert_close(judged[2], network.scales[2](half(half(images))))
    first, second = (next(scale.parameters()) for scale in network.scales[:2])
    assert first.shape == second.shape and not torch.equal(first, second)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"patch": 50}, "`patch` must be one of 1, 16, 34, 70, 142, 286 pixels, got 50"),
        ({"patch": 286}, "`patch`=286 has too many layers for 64 pixels: pass at most 142"),
        ({"patch": 70, "scales": 3}, "`patch`=70 has too many layers for 16 pixels: pass at most 34"),
        ({"scales": 0}, "`scales` must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(settings: dict[str, int], said: str) -> None:
    with pytest.raises(UserError) as refused:
        Discriminator((6, 64, 64), **settings)
    assert str(refused.value) == said


@pytest.mark.parametrize("patch", PLANS)
def test_what_is_allowed_works_with_every_size_it_is_allowed_for(patch: int) -> None:
    for side in (16, 32, 64, 128):
        if outputs(side, PLANS[patch]) >= 1:
            (judged,) = Discriminator((2, side, side), patch, width=2, limit=2)(torch.randn(1, 2, side, side))
            assert judged.shape[-1] == outputs(side, PLANS[patch])
