"""Networks of one's own: plain modules play, from Python and from a recipe, and what they lack is said in one line."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.errors import UserError
from ganlab.networks.architecture import Architecture
from ganlab.perturbations import InstanceNoise
from ganlab.variants import VAEGAN, InfoGAN, VanillaGAN

Make = Callable[..., Any]
SHAPE, LATENT = (1, 16, 16), 4


def plain_generator() -> nn.Module:
    return nn.Sequential(nn.Linear(LATENT, 256), nn.Tanh(), nn.Unflatten(1, SHAPE))


def plain_discriminator(outputs: int = 1) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.LeakyReLU(0.2), nn.Linear(8, outputs))


MINE = """
from torch import nn

class Drawing(nn.Module):
    def __init__(self, shape: tuple, code_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(code_dim, 256), nn.Tanh(), nn.Unflatten(1, (1, 16, 16)))

    def forward(self, latent):
        return self.layers(latent)

class Judging(nn.Module):
    def __init__(self, shape: tuple) -> None:
        super().__init__()
        self.linear = nn.Linear(shape[0] * shape[1] * shape[2], 1)

    def forward(self, images):
        return self.linear(images.flatten(1)).squeeze(1)

class Shapeless(nn.Module):
    def __init__(self, shape: tuple) -> None:
        super().__init__()

class Trunk(Judging):
    feature_shape = (8, 4, 4)

    def forward(self, images):
        super().forward(images)
"""
"""A user's file beside a recipe.

It has a generator, a discriminator with logits, a generator that takes no latent's size, and a trunk without a return.
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """own(word, ...): the vanilla recipe with the user's networks."""
    (tmp_path / "my_networks.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)

    def make(*words: str) -> Any:
        targets = {"generator": "Drawing", "discriminator": "Judging"}
        chosen = [f"network.{side}._target_=my_networks.{name}" for side, name in targets.items()]
        return compose("recipe=vanilla", *(f"~network.{side}.width" for side in targets), *chosen, *words)

    return make


@pytest.fixture
def play(vanilla: Make, trainer: Make, noise: Make) -> Callable[..., VanillaGAN]:
    """play(architecture): two iterations of the vanilla game."""

    def run(network: Architecture, **kwargs: Any) -> VanillaGAN:
        module: VanillaGAN = vanilla(network=network, **kwargs)
        running: pl.Trainer = trainer(2)
        running.fit(module, noise())
        return module

    return run


@pytest.mark.parametrize("given", ["modules", "constructors"])
@pytest.mark.parametrize("perturbed", [False, True])
def test_plain_modules_play(play: Make, given: str, perturbed: bool) -> None:
    """A module that is given ready-made is copied: it is as it was afterwards, and its copy has learned."""
    generator, discriminator = plain_generator(), plain_discriminator()
    before = copy.deepcopy([generator.state_dict(), discriminator.state_dict()])
    around: dict[str, Any] = {"perturbations": {"noise": InstanceNoise(0.1, 100)}} if perturbed else {}
    players: dict[str, Any] = {"generator": generator, "discriminator": discriminator}
    if given == "constructors":
        players = {name: lambda network=network, **_: copy.deepcopy(network) for name, network in players.items()}
    module = play(Architecture(**players, **around))
    for network, state in zip((generator, discriminator), before, strict=True):
        torch.testing.assert_close(network.state_dict(), state, rtol=0, atol=0)
    assert not torch.equal(module.generator[0].weight, generator[0].weight)
    assert module.sample(module.draw_latent(3)).shape == (3, *SHAPE)
    assert all(parameter.isfinite().all() for parameter in module.parameters())


def test_logits_may_have_one_column_or_none(vanilla: Make) -> None:
    images = torch.rand(5, *SHAPE)
    column = vanilla(network=Architecture(plain_generator(), plain_discriminator()))
    flat = vanilla(network=Architecture(plain_generator(), nn.Sequential(plain_discriminator(), nn.Flatten(0))))
    for module in (column, flat):
        assert module.critic(images, None).shape == (5,)


@pytest.mark.parametrize("discriminator", [plain_discriminator(3), nn.Conv2d(1, 4, 4)])
def test_what_is_neither_logits_nor_a_trunk_is_refused_in_one_line(play: Make, discriminator: nn.Module) -> None:
    with pytest.raises(UserError, match=r"^`network.discriminator` \w+ gives \(.*one logit an image.*`feature_shape`"):
        play(Architecture(plain_generator(), discriminator))


def test_images_of_another_shape_are_refused_in_one_line(play: Make) -> None:
    wrong = nn.Sequential(nn.Linear(LATENT, 64), nn.Unflatten(1, (1, 8, 8)))
    with pytest.raises(UserError, match=r"^`network.generator` Sequential makes \(8, 1, 8, 8\).*\(N, 1, 16, 16\)"):
        play(Architecture(wrong, plain_discriminator()))


class Returning(nn.Module):
    """A generator whose forward makes something else of the images."""

    def __init__(self, make: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.network, self.make = plain_generator(), make

    def forward(self, latent: torch.Tensor) -> Any:
        return self.make(self.network(latent))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda images: None, "None"),
        (lambda images: (images, images), "a tuple"),
        (lambda images: images.detach().numpy(), "a ndarray"),
    ],
)
def test_images_that_are_no_tensor_are_refused_in_one_line(play: Make, make: Make, what: str) -> None:
    with pytest.raises(
        UserError, match=rf"^`network.generator` Returning makes {what} in .*synthesize.* must return a tensor"
    ):
        play(Architecture(Returning(make), plain_discriminator()))


@pytest.mark.parametrize("kind", [VAEGAN, InfoGAN])
def test_a_variant_that_needs_features_says_so(kind: Make, adam: Side, vanilla: Make) -> None:
    parts = vanilla(network=Architecture(plain_generator(), plain_discriminator()))
    network = Architecture(lambda **_: plain_generator(), lambda **_: plain_discriminator())
    with pytest.raises(UserError, match=r"^`network.discriminator` Sequential must say its `feature_shape`"):
        kind(DataSpec(SHAPE), network, parts.objective, adam, adam, parts.averaging)


def test_a_deviation_needs_features_too(vanilla: Make) -> None:
    with pytest.raises(UserError, match="`feature_shape`"):
        vanilla(network=Architecture(plain_generator(), plain_discriminator(), minibatch_deviation=4))


def test_plain_modules_play_from_a_recipe(own: Make, trainer: Make, noise: Make) -> None:
    module = make_module(own("latent_dim=4"), DataSpec(SHAPE))
    trainer(2).fit(module, noise())
    assert module.sample(module.draw_latent(3)).shape == (3, *SHAPE)


def test_a_recipe_with_plain_modules_is_refused_before_data_are_loaded(own: Make) -> None:
    with pytest.raises(UserError, match=r"`network.discriminator` Judging must say its `feature_shape`"):
        make_data(own("variant._target_=ganlab.variants.InfoGAN"))
    with pytest.raises(UserError, match=r"^`network.generator` my_networks.Shapeless must take `code_dim`"):
        make_data(own("network.generator._target_=my_networks.Shapeless"))


def test_a_trunk_without_features_is_refused_before_data_are_loaded(own: Make) -> None:
    recipe = own("network.discriminator._target_=my_networks.Trunk", "data.size=32")
    with pytest.raises(UserError, match=r"^`discriminator` Trunk gives None: its `feature_shape` says \(N, 8, 4, 4\)"):
        make_data(recipe)
