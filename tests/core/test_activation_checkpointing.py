"""Checkpointed blocks learn what others learn, to the bit, and keep less between the passes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ganlab.config.recipe import compose
from ganlab.constraints import SpectralNormalization
from ganlab.core.activation_checkpointing import checkpoint_blocks
from ganlab.core.assembly import make_module
from ganlab.core.members import Members
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec, GanData
from ganlab.data.pictures import Pictures
from ganlab.errors import UserError
from ganlab.networks import dcgan, r3gan, resnet
from ganlab.regularizers import squared_gradient_norm

Make = Callable[..., Any]

BOTH = ("generator.checkpoint_blocks=true", "discriminator.checkpoint_blocks=true")
NARROW = ("network.generator.width=4", "network.discriminator.width=4")


ATTENTIVE = (
    *("recipe=cgan_text2img", "condition=words", "network.generator.word_attention=[8]"),
    *("network.generator.attention=[8]", "network.discriminator.attention=[8]"),
)


class Pairs(GanData):
    """Pictures of noise with their negatives."""

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        images = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16), dtype=np.uint8)
        pairs = Pictures(images, torch.from_numpy(255 - images))
        return pairs, pairs, DataSpec((3, 16, 16), "image")


GAMES: dict[str, tuple[str, ...]] = {
    "dcgan": ("recipe=vanilla", "network=dcgan", "regularizer=[]"),
    "spectral": ("recipe=vanilla", "network=dcgan", "constraint=spectral_norm", "regularizer=[]"),
    "light": ("recipe=vanilla", "network=light", "pack=2", "penalty_every=1"),
    "apart": ("recipe=vanilla", "penalty_every=2", "++generator.share_images=false"),
    "parts": ("recipe=vanilla", "discriminator.accumulate=2", "generator.turns=2", "perturbation=[diffaugment]"),
    "frozen": ("recipe=vanilla", "network=dcgan", "regularizer=[]", "discriminator.freeze=1"),
    "attention": ("recipe=vanilla", "++network.generator.attention=[8]", "++network.discriminator.attention=[8]"),
    "stylegan2": (
        "recipe=vanilla",
        "network=stylegan2",
        "network.generator.style_dim=8",
        "++network.generator.mixing=0.9",
        "generator_regularizer=path_length",
    ),
    "r3gan": ("recipe=r3gan", "network.generator.group=4", "network.discriminator.group=4"),
    "fastgan": ("recipe=vanilla", "network=fastgan", "regularizer=[lecam,reconstruction]"),
    "words": ("recipe=cgan_text2img", "condition=words", "++network.generator.word_attention=[8]"),
    "words-dcgan": (*ATTENTIVE, "network=dcgan", "regularizer=[]"),
    "words-stylegan2": (*ATTENTIVE, "network=stylegan2", "network.generator.style_dim=8", "penalty_every=1"),
    "words-fastgan": (*ATTENTIVE, "network=fastgan", "penalty_every=1"),
    "patchgan": ("recipe=patchgan", "network.discriminator.patch=16", "network.discriminator.scales=2"),
    "stackgan": (
        "recipe=stackgan",
        "condition=words",
        "variant.stage_one_iterations=1",
        "variant.augmented_dim=4",
        "variant.stage_two.generator.width=4",
    ),
    "vaegan": ("recipe=vaegan",),
    "autoencoder": ("recipe=autoencoder",),
    "infogan": ("recipe=infogan",),
}


@pytest.mark.parametrize("game", GAMES)
def test_weights_and_gradients_are_the_same(game: str, trainer: Make, noise: Make) -> None:
    """After three iterations, of both players, with batch statistics, power iterations and the average."""
    side = 64 if game == "stackgan" else 16
    captions = 2 if game.startswith(("words", "stackgan")) else 0
    data = Pairs if game == "patchgan" else partial(noise, shape=(3, side, side), captions=captions)
    given = (BOTH[:1] if game == "autoencoder" else BOTH, ())
    found = [played((*GAMES[game], *NARROW, *more), data, trainer(3)) for more in given]
    (ours, gradients), (plain, wanted) = found
    assert len(wanted) > 5
    assert list(ours.state_dict()) == list(plain.state_dict())
    for ours_, theirs in ((gradients, wanted), (ours.state_dict(), plain.state_dict())):
        for name in theirs.keys() | ours_.keys():
            torch.testing.assert_close(ours_[name], theirs[name], rtol=1e-6, atol=1e-6, msg=name)


def played(words: tuple[str, ...], data: Any, trainer: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """Return the trained module of these words, and each parameter's last gradient."""
    torch.manual_seed(0)
    pictures = data()
    pictures.reals_per_iteration = 4
    pictures.setup()
    module = make_module(compose(*words, "average.ramp=1"), pictures.spec)
    last: dict[str, torch.Tensor] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(lambda p, name=name: last.__setitem__(name, p.grad.clone()))
    trainer.fit(module, pictures)
    return module, last


# Blocks by themselves -------------------------------------------------------------------------------------------------


def kept(work: Callable[[], torch.Tensor]) -> int:
    """Return the bytes that a forward pass keeps for its backward pass. Each memory counts once."""
    sizes: dict[int, int] = {}

    def note(x: torch.Tensor) -> torch.Tensor:
        sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        result = work()
    assert result.requires_grad
    return sum(sizes.values())


@pytest.mark.parametrize("network", [dcgan.Trunk, resnet.Trunk, partial(r3gan.Trunk, group=8)])
def test_less_is_kept(network: Make) -> None:
    torch.manual_seed(0)
    plain = network(shape=(3, 32, 32), width=8)
    ours, images = copy.deepcopy(plain), torch.randn(4, 3, 32, 32)
    checkpoint_blocks("discriminator", ours)
    assert kept(lambda: ours(images)) < 0.6 * kept(lambda: plain(images))


def test_a_gradient_is_differentiated_again() -> None:
    """The gradient of R1 through batch statistics, power iterations and dropout, after three passes of one layer."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Softplus(), nn.Dropout2d(0.5)]
    plain = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 36, 1))
    SpectralNormalization().start(plain)
    ours, images = copy.deepcopy(plain), torch.randn(4, 3, 8, 8)
    checkpoint_blocks("discriminator", ours)
    for network in (ours, plain):
        torch.manual_seed(1)
        passes = [squared_gradient_norm(lambda x, _, seen=network: seen(x)[:, 0], images + i, None) for i in range(3)]
        torch.manual_seed(2)  # whatever is drawn between the passes
        torch.stack(passes).sum().backward()
    for (name, mine), theirs in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert (mine.grad is None) == (theirs.grad is None)
        if mine.grad is not None:
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-6, atol=1e-6, msg=name)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=0, atol=0, msg=name)


def test_buffers_may_be_others_in_the_backward_pass() -> None:
    """Those of the forward pass are used again, and those that are there stay as they are."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    checkpoint_blocks("generator", network)
    loss = network(torch.randn(4, 1, 8, 8)).square().sum()
    members = Members(network)
    with members.frozen():
        for buffer in members.moving():
            buffer.fill_(7)
        there = members.moving()
        loss.backward()
        assert all(now is before and (now == 7).all() for now, before in zip(members.moving(), there, strict=True))
    assert network[1].num_batches_tracked == 1


def test_a_copy_runs_its_own_layers() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), resnet.DownBlock(2, 2))
    checkpoint_blocks("discriminator", network)
    twin = copy.deepcopy(network)
    images = torch.randn(2, 1, 10, 10)
    assert torch.equal(twin(images), network(images))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert not twin(images).any()
    assert network(images).any()


def test_mixed_precision(vanilla: Make, trainer: Make, noise: Make, adam: Side, same: Make, snapshot: Make) -> None:
    """Blocks are computed again in the precision of the forward pass."""
    found = []
    for on in (True, False):
        module = vanilla(**dict.fromkeys(("generator", "discriminator"), replace(adam, checkpoint_blocks=on)))
        trainer(2, precision="bf16-mixed").fit(module, noise())
        found.append(snapshot(module))
    assert same(*found)


def test_a_layer_without_blocks_is_refused() -> None:
    with pytest.raises(UserError, match=r"`discriminator\.checkpoint_blocks` .* and Linear has none"):
        checkpoint_blocks("discriminator", nn.Linear(2, 1))
