"""Parameters and operations, counted by hand and for every network."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from ganlab.config.building import build
from ganlab.config.catalog import catalog, introduction
from ganlab.config.recipe import compose
from ganlab.networks import dcgan, fastgan, mlp, patch, projected, r3gan, resnet, stylegan2, unet
from ganlab.networks.architecture import Architecture
from ganlab.networks.cost import Cost, cost, costs

EVERY = {
    "mlp": (mlp.Generator, mlp.Trunk),
    "dcgan": (dcgan.Generator, dcgan.Trunk),
    "resnet": (resnet.Generator, resnet.Trunk),
    "stylegan2": (stylegan2.Generator, stylegan2.Trunk),
    "r3gan": (r3gan.Generator, r3gan.Trunk),
    "fastgan": (fastgan.Generator, fastgan.Trunk),
    "pix2pix": (unet.Generator, patch.Discriminator),
    "projected": (resnet.Generator, projected.Trunk),
}


def test_by_hand() -> None:
    """A 3 x 3 convolution of 2 channels to 5 at 8 x 8 pixels: 2 5 9 8 8 multiplications and as many additions."""
    network = nn.Conv2d(2, 5, 3, padding=1)
    assert cost(network, torch.empty(1, 2, 8, 8)) == Cost(2 * 5 * 9 + 5, 2 * 2 * 5 * 9 * 64)


def test_groups_count_once() -> None:
    network = nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False)
    assert cost(network, torch.empty(1, 8, 4, 4)) == Cost(8 * 2 * 9, 2 * 8 * 2 * 9 * 16)


@pytest.mark.parametrize(("generator", "trunk"), EVERY.values(), ids=EVERY.keys())
def test_every_network_says_its_cost(generator: type[nn.Module], trunk: type[nn.Module]) -> None:
    """At least twice as much for pictures of four times the pixels; frozen features see both at the same size."""
    small, large = (costs(Architecture(generator, trunk), (3, side, side), 8) for side in (32, 64))
    for player in ("generator", "discriminator"):
        assert small[player].parameters > 0 and 0 < small[player].flop <= large[player].flop
    assert large["generator"].flop > 2 * small["generator"].flop


def test_a_line_of_it() -> None:
    assert str(Cost(24_767_458, 45_120_000_000)) == "24.8 M parameters, 45.1 GFLOP a picture"
    made = costs(Architecture(partial(r3gan.Generator, width=768, limit=1), r3gan.Trunk), (3, 32, 32), 64)
    assert str(made["generator"]).startswith("20.7 M parameters")


@pytest.mark.parametrize("name", catalog().groups()["network"])
def test_every_choice_of_the_group_says_its_true_cost_in_the_help(name: str) -> None:
    """The size of a code is 64 numbers. The networks of patchgan take pictures of its 64 pixels."""
    recipe, side = ("patchgan", 64) if name.startswith("pix2pix") else ("vanilla", 32)
    networks = build(compose(f"recipe={recipe}", "data=emoji", f"network={name}")["network"])
    made = costs(networks, (3, side, side), 64)
    discriminator = str(made["discriminator"]).replace(" parameters", "").replace(" a picture", "")
    file = catalog().file(f"network/{name}")
    assert file is not None
    assert f"At {side} x {side}: generator {made['generator']}; discriminator {discriminator}." in introduction(file)


@pytest.mark.parametrize("name", ["stylegan2", "r3gan"])
def test_pictures_of_1024_pixels_and_of_odd_sides(name: str) -> None:
    """Both networks run on tensors without memory, which have shapes like any other."""
    generator, trunk = (partial(make, width=16, limit=4) for make in EVERY[name])
    large, small = (costs(Architecture(generator, trunk), shape, 8) for shape in ((3, 1024, 1024), (2, 768, 1024)))
    assert all(large[player].flop > small[player].flop > 0 for player in large)
