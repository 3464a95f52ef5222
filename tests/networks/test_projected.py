"""The projected discriminator: frozen features, random mixing, what learns and what does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from ganlab.data.batch import Batch
from ganlab.errors import UserError
from ganlab.metrics.imagenet import MEAN, SCALE
from ganlab.networks import projected, resnet
from ganlab.networks.architecture import Architecture
from ganlab.networks.efficientnet import Lite0
from ganlab.networks.heads import JointHead, ProjectionHead, SeparateHead
from ganlab.networks.logits import PairLogit, RealismLogit
from ganlab.networks.projected import Mixing, Trunk, frozen_features
from ganlab.objectives import Hinge, RelativisticPairing
from ganlab.perturbations import DiffAugment
from ganlab.variants import VanillaGAN


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def trunk(shape: tuple[int, ...] = (3, 32, 32)) -> Trunk:
    return Trunk(shape, side=32, width=4, mixed=4)


def frozen_state() -> dict[str, Tensor]:
    network = frozen_features().networks[torch.device("cpu")]
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_features_are_those_of_the_extractor() -> None:
    """Of levels 0..255, which pictures in [-1, 1] are; without the noise that the extractor adds."""
    levels = torch.randint(0, 256, (2, 3, 64, 64)).float()
    expected = Lite0().stages((levels - MEAN) / SCALE)
    given = frozen_features()(levels / 127.5 - 1)
    assert [tuple(x.shape[1:]) for x in given] == [(24, 16, 16), (40, 8, 8), (112, 4, 4), (320, 2, 2)]
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 16, 16), (3, 32, 48)])
def test_any_head_takes_its_features(shape: tuple[int, ...]) -> None:
    network = trunk(shape)
    features, condition = network(torch.rand(2, *shape) * 2 - 1), torch.randn(2, 5)
    assert features.shape == (2, *network.feature_shape)
    assert RealismLogit(network.feature_shape)(features).shape == (2,)
    for head in (JointHead, ProjectionHead, SeparateHead):
        assert all(logit.shape == (2,) for logit in head(network.feature_shape, 5)(features, condition).values())
    assert PairLogit(network.feature_shape, 5)(features, condition).shape == (2,)


def test_the_realism_logit_is_a_sum_over_scales() -> None:
    network = trunk()
    logit, images = RealismLogit(network.feature_shape), torch.rand(2, 3, 32, 32)
    features = network(images)
    parts = [torch.zeros_like(features) for _ in range(4)]
    for scale, part in enumerate(parts):
        part[:, 4 * scale : 4 * scale + 4] = features[:, 4 * scale : 4 * scale + 4]
    total = sum(logit(part) - logit.linear.bias for part in parts) + logit.linear.bias
    torch.testing.assert_close(logit(features), total)


def test_mixing_goes_from_coarse_to_fine() -> None:
    """A change in the coarsest features reaches every scale, one in the finest only its own."""
    mixing = Mixing(4)
    maps = [torch.randn(1, c, 8 // 2**i, 8 // 2**i) for i, c in enumerate(projected.CHANNELS)]
    before = mixing(maps)
    for changed, reached in ((3, [True] * 4), (0, [True, False, False, False])):
        other = [x + 1 if level == changed else x for level, x in enumerate(maps)]
        assert [not torch.equal(a, b) for a, b in zip(mixing(other), before, strict=True)] == reached
    assert not list(mixing.parameters())


def test_mixed_features_keep_the_deviation() -> None:
    maps = [torch.randn(4, c, 32 // 2**i, 32 // 2**i) for i, c in enumerate(projected.CHANNELS)]
    for x in Mixing(32)(maps):
        assert 0.6 < x.std() < 1.2


def test_a_game_moves_the_small_networks_and_the_generator_and_nothing_else(
    vanilla: Callable[..., VanillaGAN], trainer: Callable, noise: Callable
) -> None:
    """Three iterations with augmentation: the features and the mixing stay to the last bit."""
    architecture = Architecture(
        partial(resnet.Generator, width=2),
        partial(Trunk, side=32, width=4, mixed=4),
        perturbations={"diffaugment": DiffAugment()},
    )
    module = vanilla(network=architecture, objective=Hinge())
    before, frozen = copy.deepcopy(module.state_dict()), frozen_state()
    trainer(3).fit(module, datamodule=noise())
    after = module.state_dict()
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in frozen_state().items())
    assert not [name for name in after if "features" in name]
    moved = {name: not torch.equal(tensor, before[name]) for name, tensor in after.items()}
    assert not any(now for name, now in moved.items() if "mixing" in name)
    assert all(now for name, now in moved.items() if "judges" in name and "weight" in name and "original" in name)
    assert all(now for name, now in moved.items() if name.startswith("generator.") and "conv" in name)


@pytest.mark.parametrize(("objective", "reals"), [(Hinge(), 1), (RelativisticPairing(), 2)])
def test_how_often_reals_are_looked_at(
    vanilla: Callable[..., VanillaGAN], objective: object, reals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in an iteration; twice only if the generator's objective compares with reals."""
    module = vanilla(network=Architecture(partial(resnet.Generator, width=2), partial(Trunk, side=32, width=4)))
    module.objective = objective
    batch, seen = Batch(torch.rand(4, 1, 16, 16)), []
    look = Trunk.forward
    monkeypatch.setattr(Trunk, "forward", lambda self, images: (seen.append(images), look(self, images))[1])
    fake = module.generate(batch)
    module.discriminator_terms(batch, fake.detach())
    module.generator_terms(batch, fake)
    assert sum(images is batch.images for images in seen) == reals


@pytest.mark.parametrize(
    ("shape", "side", "message"),
    [
        ((4, 32, 32), 64, "`network=projected` sees"),
        ((2,), 64, "`network=projected` sees"),
        ((3, 32, 32), 50, "`side` must"),
    ],
)
def test_what_it_cannot_see_is_refused(shape: tuple[int, ...], side: int, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        Trunk(shape, side=side)
