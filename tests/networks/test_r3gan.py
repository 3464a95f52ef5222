"""R3GAN: the published sizes, blocks that start as nothing, the scale at the start."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlab.errors import UserError
from ganlab.networks import r3gan


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_number_of_parameters_of_a_block_by_hand() -> None:
    """768 channels, 1536 inside in groups of 16: 768 1536 twice, 1536 16 9, and two biases of 1536."""
    block = r3gan.ResidualBlock(768, group=16, expansion=2, blocks=8)
    assert parameters(block) == 2 * 768 * 1536 + 1536 * 16 * 9 + 2 * 1536 == 2_583_552


@pytest.mark.parametrize(
    ("side", "width", "limit", "generator", "discriminator"),
    [(32, 768, 1, 20_732_160, 20_683_776), (64, 384, 2, 22_429_824, 22_381_440), (256, 96, 8, 23_057_952, 23_009_568)],
)
def test_the_published_configurations(side: int, width: int, limit: int, generator: int, discriminator: int) -> None:
    """CIFAR-10, FFHQ-64 and FFHQ-256 in the authors' settings. The last layer has 768 weights and no bias.

    CIFAR-10 by hand: 8 blocks, a basis of 768 4 4, 64 768 from the code and 768 3 to the picture.
    """
    assert 8 * 2_583_552 + 768 * 16 + 64 * 768 + 768 * 3 == 20_732_160
    with torch.device("meta"):
        assert parameters(r3gan.Generator((3, side, side), 64, width, limit)) == generator
        assert parameters(r3gan.Trunk((3, side, side), width, limit)) + 768 == discriminator


def test_blocks_start_as_the_identity() -> None:
    block, x = r3gan.ResidualBlock(8, group=4, expansion=2, blocks=6), torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("blocks", [1, 16])
def test_inside_a_block_the_deviation_is_that_of_the_initialization(blocks: int) -> None:
    """Each layer multiplies the deviation by sqrt(2 / 1.04) L^(-1/4), and each rectifier divides it by the root."""
    branch = r3gan.ResidualBlock(64, group=16, expansion=2, blocks=blocks).branch
    with torch.no_grad():
        y = branch[:4](torch.randn(8, 64, 16, 16))
    assert y.square().mean().sqrt().item() == pytest.approx(blocks**-0.5, rel=0.1)


def test_a_group_is_a_convolution_of_its_own_channels() -> None:
    """A change in one channel of the middle reaches the 4 channels of its group only."""
    grouped, x = r3gan.ResidualBlock(8, group=4, expansion=2, blocks=1).branch[2], torch.randn(1, 16, 5, 5)
    other = x.clone()
    other[:, 5] += 1
    changed = (grouped(other) - grouped(x)).abs().amax((0, 2, 3)) > 0
    assert changed.nonzero().flatten().tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 32, 48)])
def test_the_scale_at_the_start(shape: tuple[int, ...]) -> None:
    """Deviation over codes of a picture before tanh, and of a feature over flat pictures of unit deviation."""
    with torch.no_grad():
        images = r3gan.Generator(shape, 64, width=16).paint(torch.randn(64, 64))
        features = r3gan.Trunk(shape, width=16)(torch.randn(64, 3, 1, 1).expand(64, *shape))
    assert 0.3 < images.std(0).mean() < 2
    assert 0.3 < features.std(0).mean() < 2


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UserError, match=r"^`group` must divide the 12 channels inside a block, got 16"):
        r3gan.Generator((3, 16, 16), 4, width=6, limit=1)
