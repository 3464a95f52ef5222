"""Frozen layers stay as they are to the bit, and layers far from the output learn at smaller rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from ganlab.config.recipe import compose
from ganlab.constraints import SpectralNormalization, WeightClipping
from ganlab.core.assembly import make_module
from ganlab.core.depth import blocks_of
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.errors import UserError
from ganlab.networks import dcgan, resnet
from ganlab.networks.architecture import Architecture
from ganlab.networks.blocks import NoNorm
from ganlab.regularizers import R1, LeCam
from ganlab.schedules import ConstantThenLinear

Make = Callable[..., Any]


def made(network: str, *words: str, side: int = 32) -> Any:
    narrow = ("network.generator.width=4", "network.discriminator.width=4")
    with torch.device("meta"):
        return make_module(
            compose("recipe=vanilla", f"network={network}", *narrow, "regularizer=[]", *words),
            DataSpec((3, side, side)),
        )


@pytest.mark.parametrize(
    ("network", "words", "sides"),
    [
        ("dcgan", (), [16, 8, 4]),
        ("light", ("pack=2",), [16, 8, 4]),
        ("light", ("perturbation=[diffaugment]", "minibatch_deviation=4"), [16, 8, 4]),
        ("resnet", (), [32, 16, 8, 4]),
        ("fastgan", (), [32, 16, 8, 4]),
        ("stylegan2", (), [32, 16, 8, 4]),
        ("r3gan", ("network.generator.group=4", "network.discriminator.group=4"), [32, 16, 8, 4]),
        ("dcgan", ("network.discriminator.attention=[8]",), [16, 8, 4]),
        ("fastgan", ("network.discriminator.attention=[8,4]",), [32, 16, 8, 4]),
        ("stylegan2", ("network.discriminator.attention=[16]",), [32, 16, 8, 4]),
    ],
)
def test_blocks_go_from_the_picture_to_the_coarsest_map(network: str, words: tuple[str, ...], sides: list[int]) -> None:
    """A generator's go the other way. Every parameter of the trunk is in one block, and of no other."""
    module = made(network, *words)
    blocks = blocks_of("discriminator", module.discriminator, (3, 32, 32), 128)
    assert [block.side for block in blocks] == sides
    trunk = module.discriminator[0]
    while hasattr(trunk, "trunk"):
        trunk = trunk.trunk
    inside = [id(p) for block in blocks for name in block.layers for p in trunk.get_submodule(name).parameters()]
    assert sorted(inside) == sorted(map(id, trunk.parameters()))
    assert [b.side for b in blocks_of("generator", module.generator, (3, 32, 32), 128)][-1] == 32


def test_patches_have_blocks() -> None:
    """Their discriminator sees input and output together. A layer without stride has its own size of maps."""
    with torch.device("meta"):
        module = make_module(compose("recipe=patchgan"), DataSpec((3, 64, 64), "image"))
    assert [b.side for b in blocks_of("discriminator", module.discriminator, (3, 64, 64), 0)] == [32, 16, 15, 14]
    assert blocks_of("generator", module.generator, (3, 64, 64), module.latent_dim)


CONSTRAINTS = {"none": None, "spectral": SpectralNormalization(), "clipped": WeightClipping(0.05)}


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("norm", [None, NoNorm()])
def test_frozen_layers_are_equal_to_the_bit(
    vanilla: Make, trainer: Make, noise: Make, snapshot: Make, constraint: str, norm: Any
) -> None:
    """Weights, batch statistics and power-iteration vectors. Everything else of the discriminator moves."""
    rules = {} if CONSTRAINTS[constraint] is None else {"constraint": CONSTRAINTS[constraint]}
    side = Side(partial(torch.optim.AdamW, lr=1e-2, weight_decay=0.1), turns=2, freeze=2, **rules)
    if norm is not None:
        side = replace(side, regularizers={"r1": R1(1.0), "lecam": LeCam()})
    network = Architecture(partial(dcgan.Generator, width=4), partial(dcgan.Trunk, width=4, normalization=norm), pack=2)
    module = vanilla(discriminator=side, network=network)
    before = snapshot(module.discriminator)
    trainer(3).fit(module, noise())
    after = snapshot(module.discriminator)
    still = {name for name in after if torch.equal(before[name], after[name])}
    one = {"1.linear.parametrizations.weight.0._u"}  # a unit vector of one number
    assert still - one == {name for name in after if name.startswith("0.trunk.")}
    assert module.discriminator[0].training and not any(one.training for one in module.frozen["discriminator"])


def test_a_frozen_trunk_leaves_the_head(trainer: Make, vanilla: Make, noise: Make, snapshot: Make) -> None:
    module = vanilla(discriminator=Side(partial(torch.optim.Adam, lr=1e-2), freeze="trunk"))
    before = snapshot(module)
    trainer(2).fit(module, noise())
    after = snapshot(module)
    moved = {name for name in after if name.startswith("discriminator") and not torch.equal(before[name], after[name])}
    assert moved == {"discriminator.1.linear.weight", "discriminator.1.linear.bias"}
    assert not torch.equal(before["generator.layers.1.weight"], after["generator.layers.1.weight"])


def test_a_generators_coarse_layers_can_be_frozen(trainer: Make, vanilla: Make, noise: Make, snapshot: Make) -> None:
    """They are the same in its average."""
    module = vanilla(generator=Side(partial(torch.optim.Adam, lr=1e-2), freeze=1))
    before = snapshot(module)
    trainer(2).fit(module, noise())
    after = snapshot(module)
    for player in ("generator", "average"):
        still = {n for n in after if n.startswith(player) and torch.equal(before[n], after[n])}
        assert still == {n for n in after if n.startswith((f"{player}.layers.1.", f"{player}.layers.2."))}


@pytest.mark.parametrize(
    ("side", "line"),
    [
        ({"freeze": 3}, r"`discriminator\.freeze` must be at most 2, .*maps of 8, 4 pixels\), got 3"),
    ],
)
def test_too_many_blocks_are_refused(vanilla: Make, sgd: Side, side: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line):
        vanilla(discriminator=replace(sgd, **side))


def test_points_have_no_blocks() -> None:
    with pytest.raises(UserError, match=r"`discriminator\.freeze` .* need maps, and Trunk has none"):
        make_module(compose("recipe=ring", "discriminator.freeze=1"), DataSpec((2,)))


def test_a_side_that_learns_nothing_is_refused(vanilla: Make, sgd: Side) -> None:
    with pytest.raises(UserError, match=r"`generator\.freeze`=trunk leaves nothing of the generator that learns"):
        vanilla(generator=replace(sgd, freeze="trunk"))


def test_two_stages_are_refused_in_one_line() -> None:
    spec = DataSpec((3, 64, 64), "text", vocabulary=("a",), captions=("a",))
    with pytest.raises(UserError, match=r"`discriminator\.freeze` .*ModuleDict"):
        make_module(compose("recipe=stackgan", "condition=words", "discriminator.freeze=1"), spec)


# Rates ---------------------------------------------------------------------------------------------------------------


def test_rates_decay_from_the_head_to_the_picture(vanilla: Make) -> None:
    """One group a block: the head at the rate, the last of three blocks at half of it, the first at an eighth."""
    side = Side(
        partial(torch.optim.Adam, lr=0.8),
        partial(ConstantThenLinear, end=10, hold=0.0),
        layer_decay=0.5,
    )
    network = Architecture(partial(dcgan.Generator, width=4), partial(resnet.Trunk, width=4))
    module = vanilla(discriminator=side, network=network)
    (optimizer, _), (schedule,) = module.configure_optimizers()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.8, 0.4, 0.2, 0.1])
    trunk, head = module.discriminator
    parameters = [set(map(id, group["params"])) for group in optimizer.param_groups]
    assert parameters[0] == set(map(id, head.parameters()))
    assert parameters[1] == set(map(id, trunk.blocks[1].parameters()))
    assert parameters[3] == set(map(id, trunk.from_image.parameters()))
    optimizer.step()
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.72, 0.36, 0.18, 0.09])


def test_a_decay_of_one_is_one_group(vanilla: Make, adam: Side) -> None:
    module = vanilla(discriminator=adam)
    assert all(len(optimizer.param_groups) == 1 for optimizer in module.configure_optimizers()[0])


def test_a_decayed_step_is_smaller_by_its_factor(vanilla: Make, trainer: Make, noise: Make, snapshot: Make) -> None:
    """With plain descent, the first step of a layer is its factor times that without a decay."""
    steps = []
    for decay in (1.0, 0.5):
        module = vanilla(
            discriminator=Side(partial(torch.optim.SGD, lr=0.1), layer_decay=decay),
            network=Architecture(
                partial(dcgan.Generator, width=4), partial(dcgan.Trunk, width=4, normalization=NoNorm())
            ),
        )
        before = snapshot(module.discriminator)
        trainer(1).fit(module, noise())
        steps.append({name: tensor - before[name] for name, tensor in module.discriminator.state_dict().items()})
    for name, factor in {"1.linear.weight": 1.0, "0.layers.2.weight": 0.5, "0.layers.0.weight": 0.25}.items():
        torch.testing.assert_close(steps[1][name], factor * steps[0][name], rtol=1e-3, atol=1e-8)


def test_frozen_and_decayed_runs_resume_bit_for_bit(
    vanilla: Make, trainer: Make, noise: Make, snapshot: Make, same: Make, tmp_path: Any
) -> None:
    side = Side(partial(torch.optim.Adam, lr=1e-2), freeze=1, layer_decay=0.5)
    whole = vanilla(discriminator=side)
    trainer(4).fit(whole, noise())
    half = trainer(2)
    half.fit(vanilla(discriminator=side), noise())
    half.save_checkpoint(tmp_path / "half.ckpt")
    resumed = vanilla(seed=1, discriminator=side)
    trainer(4).fit(resumed, noise(), ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    assert same(snapshot(whole), snapshot(resumed))


def test_layers_may_be_thawed_in_a_resumed_run(vanilla: Make, trainer: Make, noise: Make, tmp_path: Any) -> None:
    """The optimizer has all parameters, so another `freeze` fits its state."""
    half = trainer(2)
    frozen = vanilla(discriminator=Side(partial(torch.optim.Adam, lr=1e-2), freeze=1))
    half.fit(frozen, noise())
    half.save_checkpoint(tmp_path / "half.ckpt")
    before = frozen.discriminator[0].layers[0].weight.detach().clone()
    thawed = vanilla(discriminator=Side(partial(torch.optim.Adam, lr=1e-2)))
    trainer(3).fit(thawed, noise(), ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    assert not torch.equal(before, thawed.discriminator[0].layers[0].weight)


def test_a_custom_network_has_blocks_too(vanilla: Make, trainer: Make, noise: Make) -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 1)
    )
    module = vanilla(
        network=Architecture(partial(dcgan.Generator, width=4), network),
        discriminator=Side(partial(torch.optim.SGD, lr=0.1), freeze=1),
    )
    assert [p.requires_grad for p in module.discriminator.parameters()] == [False, False, True, True, True, True]
