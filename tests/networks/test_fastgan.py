"""FastGAN: excitation by hand, what it connects, and the discriminator's second task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from ganlab.core.sides import Side
from ganlab.data.batch import Batch, Fake
from ganlab.errors import UserError
from ganlab.networks import fastgan
from ganlab.networks.architecture import Architecture
from ganlab.regularizers import Reconstruction
from ganlab.variants import VanillaGAN


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_a_gate_by_hand() -> None:
    x = torch.randn(2, 6, 3, 3)
    torch.testing.assert_close(fastgan.Gate()(x), x[:, :3] * torch.sigmoid(x[:, 3:]))


def test_an_excitation_is_one_number_a_channel_that_the_coarse_map_says() -> None:
    """Between 0 and 1, the same at every place, and a coarse map of 4 x 4 is read as it is."""
    excite, coarse = fastgan.Excitation(3, 5).eval(), torch.randn(2, 3, 4, 4)
    shares = excite(torch.ones(2, 5, 16, 16), coarse)
    assert torch.equal(shares, shares[:, :, :1, :1].expand_as(shares))
    assert (shares > 0).all() and (shares < 1).all() and not torch.equal(shares[0], shares[1])
    wide = torch.cat([coarse, coarse.flip(3)], 3)
    assert excite(torch.ones(2, 5, 8, 16), wide).shape == (2, 5, 8, 16)


@pytest.mark.parametrize(("side", "pairs"), [(32, [(4, 32)]), (256, [(4, 64), (8, 128), (16, 256)])])
def test_what_is_connected(side: int, pairs: list[tuple[int, int]]) -> None:
    """Maps four doublings apart, as in the paper from 8 and 128 pixels on; the whole network's, if it has fewer."""
    generator = fastgan.Generator((3, side, side), 4, width=2, limit=2)
    sides = [4 * 2**level for level in range(side.bit_length() - 2)]
    connected = [(sides[i], sides[i + generator.reach]) for i in range(len(generator.excitations))]
    assert connected == pairs


def test_the_second_task_is_learned(vanilla: Callable[..., VanillaGAN], adam: Side) -> None:
    """Its own steps lower the error on pictures of one color each; decoder and trunk both move; it is in the state."""
    network = Architecture(partial(fastgan.Generator, width=2, limit=2), partial(fastgan.Trunk, width=4, limit=2))
    task = Reconstruction(weight=1.0)
    module = vanilla(network=network, discriminator=replace(adam, regularizers={"reconstruction": task}))
    images = torch.rand(8, 1, 1, 1).expand(8, 1, 16, 16) * 2 - 1
    batch, optimizer = Batch(images), torch.optim.Adam(module.discriminator.parameters(), lr=1e-2)
    errors = []
    for _ in range(40):
        term = module.penalties("discriminator", batch, images)["reconstruction"]
        assert term.shape == (8,)
        optimizer.zero_grad()
        term.mean().backward()
        optimizer.step()
        errors.append(term.mean().item())
    assert errors[-1] < 0.5 * errors[0]
    assert any("decoder" in name for name in module.state_dict())
    assert module.discriminator(images).shape == (8,)


def test_a_perfect_decoder_costs_nothing() -> None:
    """Against the mean over 4 x 4 pixels, by pixel: an error of 1/2 everywhere costs weight / 2."""
    task, images = Reconstruction(weight=3.0), torch.rand(2, 1, 16, 16)
    batch, fake = Batch(images), Fake(images, torch.zeros(2, 1))
    task.autoencoder = nn.AvgPool2d(4)
    assert task(lambda images, condition: images, batch, fake).tolist() == [0.0, 0.0]
    task.autoencoder = lambda images: nn.functional.avg_pool2d(images, 4) + 0.5
    torch.testing.assert_close(task(lambda x, c: x, batch, fake), torch.full((2,), 1.5))


def test_another_trunk_is_refused(vanilla: Callable[..., VanillaGAN], adam: Side) -> None:
    with pytest.raises(UserError, match="needs FastGAN's trunk: pass network=fastgan"):
        vanilla(discriminator=replace(adam, regularizers={"reconstruction": Reconstruction(weight=1.0)}))
