"""The U-Net: sizes, the latent that is a dropout mask, and normalizations that keep a picture apart from its batch."""

from __future__ import annotations

import copy

import pytest
import torch

from ganlab.errors import UserError
from ganlab.networks.blocks import BatchNorm, InstanceNorm, NoNorm, OwnBatchNorm
from ganlab.networks.unet import Generator, dropped


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def drawn(network: Generator, image: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return network(image, torch.randn(len(image), network.latent_dim, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("side", [16, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_draws_images_of_any_size_in_range(channels: int, side: int) -> None:
    network = Generator((channels, side, side), width=4)
    images = drawn(network, torch.randn(2, channels, side, side))
    assert images.shape == (2, channels, side, side)
    assert images.abs().max() <= 1


def test_at_256_it_is_the_network_of_the_paper() -> None:
    """Appendix 6.1.1. Down: C64-C128-C256-C512-C512-C512-C512-C512; up: CD512-CD512-CD512-C512-C256-C128-C64, each of
    them but the first seeing as many channels again from the way down. 4 x 4 kernels throughout."""
    with torch.device("meta"):
        network = Generator((3, 256, 256))
    convolutions = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    back = [layer for layer in network.modules() if isinstance(layer, torch.nn.ConvTranspose2d)]
    assert [layer.out_channels for layer in convolutions] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert [layer.out_channels for layer in back] == [512, 512, 512, 512, 256, 128, 64, 3]
    assert [layer.in_channels for layer in back] == [512, 1024, 1024, 1024, 1024, 512, 256, 128]
    assert {layer.kernel_size for layer in (*convolutions, *back)} == {(4, 4)}
    assert network.latent_dim == 512 * (2 * 2 + 4 * 4 + 8 * 8)  # 43,008 elements that may be dropped


def test_the_mask_drops_what_lies_under_the_quantile() -> None:
    """Phi^-1(0.25) = -0.6745: z of -0.68 goes, z of -0.67 stays; what stays is divided by 0.75."""
    latent = torch.tensor([[-0.68, -0.67, 3.0, -3.0]])
    x = torch.tensor([[[3.0, 3.0], [6.0, 6.0]]])
    torch.testing.assert_close(dropped(x, latent, 0.25), torch.tensor([[[0.0, 4.0], [8.0, 0.0]]]))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_normals_drop_the_share_and_keep_the_mean(rate: float) -> None:
    """Of 100,000 elements the share dropped has a standard deviation of sqrt(p (1 - p) / 100,000) < 0.0016."""
    kept = dropped(torch.ones(10, 10_000), torch.randn(10, 10_000), rate)
    assert (kept == 0).float().mean().item() == pytest.approx(rate, abs=0.008)
    assert kept.mean().item() == pytest.approx(1, abs=0.008 / (1 - rate))


def test_a_picture_is_a_function_of_input_and_latent_whatever_the_mode() -> None:
    network, image = Generator((3, 32, 32), width=4), torch.randn(3, 3, 32, 32)
    first = drawn(network, image)
    assert torch.equal(drawn(network, image), first)
    assert torch.equal(drawn(network.eval(), image), first)
    assert not torch.allclose(drawn(network, image, seed=1), first, atol=1e-3)
    torch.testing.assert_close(first, drawn(copy.deepcopy(network), image))


@pytest.mark.parametrize("norm", [InstanceNorm(), BatchNorm(), NoNorm()])
def test_a_picture_does_not_depend_on_its_company(norm) -> None:
    network, image = Generator((3, 16, 16), width=4, normalization=norm), torch.randn(4, 3, 16, 16)
    drawn(network, image)  # gives running statistics something to run on
    latent = torch.randn(4, network.eval().latent_dim)
    together = network(image, latent)
    torch.testing.assert_close(network(image[1:2], latent[1:2]), together[1:2], rtol=1e-4, atol=1e-5)


def test_with_the_batchs_own_statistics_it_does_and_sampling_is_training() -> None:
    network = Generator((3, 16, 16), width=4, normalization=OwnBatchNorm())
    image, latent = torch.randn(4, 3, 16, 16), torch.randn(4, network.latent_dim)
    trained = network(image, latent)
    assert torch.equal(network.eval()(image, latent), trained)
    assert not torch.allclose(network(image[1:2], latent[1:2]), trained[1:2], atol=1e-3)


def test_one_picture_a_batch_makes_them_the_same() -> None:
    """Isola et al. 2017, section 3.3: batch normalization with a batch of one is instance normalization."""
    image = torch.randn(1, 3, 16, 16)
    norms = [norm(3) for norm in (InstanceNorm(), OwnBatchNorm())]
    with torch.no_grad():
        norms[1].weight.copy_(norms[0].weight)
    torch.testing.assert_close(norms[0](image), norms[1](image))


def test_without_dropout_there_is_no_latent() -> None:
    network, image = Generator((3, 16, 16), width=4, dropout=0), torch.randn(2, 3, 16, 16)
    assert network.latent_dim == 0
    assert torch.equal(drawn(network, image, 0), drawn(network, image, 1))


def test_each_number_of_the_latent_decides_one_element() -> None:
    """Masks follow each other in the latent: flipping any of a block's numbers changes the picture, at that block."""
    network, image = Generator((1, 16, 16), width=2).eval(), torch.randn(1, 1, 16, 16)
    latent = torch.ones(1, network.latent_dim)
    whole = network(image, latent)
    starts = [sum(network.masks[:i]) for i in range(len(network.masks))]
    for start in starts:
        one = latent.clone()
        one[0, start : start + 4] = -5
        assert not torch.equal(network(image, one), whole)
    assert network.latent_dim == sum(network.masks) == 8 * 2 * 2 + 4 * 4 * 4 + 2 * 8 * 8


def test_every_part_and_the_input_get_gradients() -> None:
    network, image = Generator((3, 16, 16), width=4), torch.randn(4, 3, 16, 16, requires_grad=True)
    (drawn(network, image) * torch.randn(4, 3, 16, 16)).sum().backward()
    assert image.grad is not None
    assert (image.grad.abs().sum(0) > 0).all()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_skips_carry_what_one_pixel_cannot() -> None:
    """With the decoder's inner half silenced the output still sees the input, pixel by pixel, through the last skip."""
    network = Generator((1, 32, 32), width=4, dropout=0)
    for parameter in network.middle.parameters():
        parameter.data.zero_()
    a, b = torch.randn(2, 1, 1, 32, 32)
    assert not torch.allclose(drawn(network, a), drawn(network, b), atol=1e-3)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_bad_dropout(rate: float) -> None:
    with pytest.raises(UserError, match="`dropout` must be at least 0 and less than 1"):
        Generator((3, 16, 16), dropout=rate)


def test_bad_shape() -> None:
    with pytest.raises(UserError, match=r"pass data\.size=64"):
        Generator((3, 48, 48))
