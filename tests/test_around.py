"""What a recipe puts around any discriminator, any player and any game: perturbations, packs, constraints, memories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlab.constraints import SpectralNormalization, WeightClipping
from ganlab.core.sides import Side
from ganlab.networks.architecture import Architecture, Perturbed
from ganlab.networks.minibatch import MinibatchDeviation
from ganlab.networks.packing import Packed
from ganlab.perturbations import Perturbation
from ganlab.regularizers import LeCam

Make = Callable[..., Any]


class Watched(Perturbation):
    """Changes nothing; notes what passes and what it is told."""

    listens_every = 2

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[Tensor] = []
        self.told: list[tuple[int, int, int]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.passed.append(images)
        return images

    def advance(self, images_seen: int, real: Tensor, fake: Tensor) -> None:
        self.told.append((images_seen, len(real), len(fake)))


@pytest.fixture
def fit(trainer: Make, noise: Make) -> Make:
    def start(module: Any, iterations: int, **kwargs: Any) -> Any:
        trainer(iterations, **kwargs).fit(module, datamodule=noise())
        return module

    return start


def watcher(module: Any) -> Watched:
    (found,) = [part for part in module.modules() if isinstance(part, Watched)]
    return found


def test_every_picture_of_both_turns_passes_and_no_sample_does(vanilla: Make, plain: Architecture, fit: Make) -> None:
    """Reals and fakes in the discriminator's turn, fakes in the generator's; every second iteration both once more."""
    module = fit(vanilla(network=replace(plain, perturbations={"watched": Watched()})), 4)
    seen = watcher(module)
    assert len(seen.passed) == 4 * 3 + 2 * 2
    assert seen.told == [(8, 8, 8), (16, 0, 0), (24, 8, 8), (32, 0, 0)]
    module.sample(module.draw_latent(3))
    assert len(seen.passed) == 16


def test_each_trunk_has_perturbations_of_its_own(plain: Architecture) -> None:
    network = replace(plain, perturbations={"watched": Watched()})
    first, second = network.trunk((1, 16, 16)), network.trunk((1, 16, 16))
    first(torch.zeros(2, 1, 16, 16))
    assert len(watcher(first).passed) == 1 and not watcher(second).passed


def test_the_order_around_a_trunk(plain: Architecture) -> None:
    """Perturbed as single pictures, then packed; the deviation is over packs, which is what the trunk judges."""
    network = replace(plain, perturbations={"watched": Watched()}, pack=2, minibatch_deviation=4)
    trunk = network.trunk((1, 16, 16))
    assert [type(part) for part in (trunk, trunk.trunk, trunk.trunk.trunk)] == [Perturbed, Packed, MinibatchDeviation]
    assert trunk(torch.zeros(8, 1, 16, 16)).shape == (4, *trunk.feature_shape)
    assert trunk.feature_shape == (9, 1, 1)


def test_packs_are_judged_by_one_logit_each(vanilla: Make, plain: Architecture, fit: Make) -> None:
    module = fit(vanilla(network=replace(plain, pack=4, minibatch_deviation=2)), 2)
    assert module.critic(torch.zeros(8, 1, 16, 16), None).shape == (2,)


def test_weights_stay_clipped_after_every_step(vanilla: Make, plain: Architecture, adam: Side, fit: Make) -> None:
    module = fit(vanilla(network=plain, discriminator=replace(adam, constraint=WeightClipping(0.02))), 3)
    assert max(p.abs().max().item() for p in module.discriminator.parameters()) <= 0.02
    assert max(p.abs().max().item() for p in module.generator.parameters()) > 0.02


def test_spectral_norms_of_any_player_are_one(vanilla: Make, plain: Architecture, adam: Side, fit: Make) -> None:
    """Once power iterations, one each time a weight is used in training, have caught up with the last step."""
    side = replace(adam, constraint=SpectralNormalization())
    module = fit(vanilla(network=plain, discriminator=side, generator=side), 30)
    for network in (module.discriminator, module.generator):
        layers = [part for part in network.train().modules() if isinstance(part, nn.Linear)]
        norms = [torch.linalg.matrix_norm([part.weight for _ in range(50)][-1], 2) for part in layers]
        assert [norm.item() for norm in norms] == pytest.approx([1.0] * 3, rel=0.02)


def test_a_penaltys_memory_is_in_the_checkpoint(vanilla: Make, plain: Architecture, adam: Side, fit: Make) -> None:
    def make() -> Any:
        return vanilla(network=plain, discriminator=replace(adam, regularizers={"lecam": LeCam(0.3)}))

    module, other = fit(make(), 3), make()
    other.load_state_dict(module.state_dict())
    anchors = other.sides["discriminator"].regularizers["lecam"].anchors
    assert anchors.abs().sum() > 0
    assert torch.equal(anchors, module.sides["discriminator"].regularizers["lecam"].anchors)
