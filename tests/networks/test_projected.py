"""The projected discriminator: frozen features, random mixing, what learns and what does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ganlab.data.batch import Batch, Fake
from ganlab.errors import UserError
from ganlab.metrics.imagenet import MEAN, SCALE
from ganlab.networks import projected, resnet
from ganlab.networks.architecture import Architecture
from ganlab.networks.conditional import ConditionalDiscriminator
from ganlab.networks.conditioning import ClassEmbedding
from ganlab.networks.efficientnet import Lite0
from ganlab.networks.heads import Head, SeparateHead, Terms
from ganlab.networks.logits import RealismLogit
from ganlab.networks.projected import Mixing, Trunk, frozen_features
from ganlab.networks.scales import at_each_scale
from ganlab.objectives import FGAN, Hinge, NonSaturating, Objective, RelativisticPairing, Wasserstein
from ganlab.perturbations import DiffAugment
from ganlab.regularizers import R1
from ganlab.variants import VanillaGAN
from tests.components import components, every


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def trunk(shape: tuple[int, ...] = (3, 32, 32)) -> Trunk:
    return Trunk(shape, side=32, width=4, mixed=4)


def trunk_of(shape: tuple[int, ...]) -> Trunk:
    return trunk(shape)


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
    """One logit a question at each of four scales."""
    network = trunk(shape)
    features, condition = network(torch.rand(2, *shape) * 2 - 1), torch.randn(2, 5)
    assert features.shape == (2, *network.feature_shape)
    assert at_each_scale(network, RealismLogit)(features).shape == (2, 4)
    for kind in components(Head):
        logits = at_each_scale(network, kind, condition_dim=5)(features, condition)
        assert logits and all(logit.shape == (2, 4) for logit in logits.values())


def scales_of(network: Trunk, images: Tensor) -> list[Tensor]:
    """The features of each scale: its own small network on its own mixed map."""
    large = F.interpolate(images, size=(32, 32), mode="bilinear", align_corners=False)
    maps = network.mixing(network.features(large.expand(-1, 3, -1, -1)))
    return [network.judges[scale](maps[scale]) for scale in range(4)]


@pytest.mark.parametrize("objective", every(Objective), ids=lambda one: type(one).__name__)
def test_each_scale_has_a_loss_of_its_own(vanilla: Callable[..., VanillaGAN], objective: Objective) -> None:
    """Both players' losses are a quarter of the sum of four losses, each of a scale with one logit a picture."""
    module = vanilla(network=Architecture(partial(resnet.Generator, width=2), trunk_of), objective=objective).eval()
    network, logits = module.discriminator
    batch = Batch(torch.rand(4, 1, 16, 16) * 2 - 1)  # as many pictures as scales: what is one picture's stays its own
    fake = module.generate(batch)
    with torch.no_grad():
        for number, judge in enumerate(logits.scales):
            judge.linear.weight.mul_(5 * (number + 1))  # some logits beyond the hinges
    real, drawn = (
        [judge.linear(x.flatten(1))[:, 0] for judge, x in zip(logits.scales, scales_of(network, images), strict=True)]
        for images in (batch.images, fake.images)
    )
    pairs = list(zip(real, drawn, strict=True))
    expected = sum(objective.discriminator(x, y) for x, y in pairs) / 4
    torch.testing.assert_close(module.discriminator_terms(batch, fake)["realism"], expected)
    expected = sum(objective.generator(y, x) for x, y in pairs) / 4
    torch.testing.assert_close(module.generator_terms(batch, fake)["realism"], expected)
    torch.testing.assert_close(module.critic(batch.images, None), sum(real) / 4)


@pytest.mark.parametrize("objective", [Hinge(), NonSaturating(), RelativisticPairing(), Wasserstein(), FGAN("js")])
@pytest.mark.parametrize("kind", components(Head), ids=lambda kind: kind.__name__)
def test_each_scale_has_a_head_of_its_own(kind: Callable[..., Head], objective: Objective) -> None:
    """Every term is a quarter of the sum of that term of four heads; realism and match are asked at each scale."""
    network, encoder = trunk(), ClassEmbedding(3, 5)
    judge = ConditionalDiscriminator(network, encoder, kind).eval()
    classes = torch.tensor([0, 1, 2, 1])
    batch = Batch(torch.rand(4, 3, 32, 32) * 2 - 1, classes, classes.flip(0))
    fake = Fake(torch.rand(4, 3, 32, 32) * 2 - 1, torch.zeros(4, 1))
    own: list[Terms] = []
    wanted: list[Terms] = []
    real, drawn = (scales_of(network, images) for images in (batch.images, fake.images))
    for head, x, y in zip(judge.head.scales, real, drawn, strict=True):
        c, other = encoder(batch.condition), encoder(batch.mismatched)
        own.append(head.discriminator_terms(objective, head(x, c), head(y, c), head(x, other)))
        wanted.append(head.generator_terms(objective, head(y, c), head(x, c)))
    for terms, parts in (
        (judge.own_terms(objective, batch, fake), own),
        (judge.generator_terms(objective, batch, fake), wanted),
    ):
        assert terms.keys() == parts[0].keys()
        for name, values in terms.items():
            torch.testing.assert_close(values, sum(part[name] for part in parts) / 4)


def test_only_linear_losses_are_those_of_the_summed_logit() -> None:
    """The Wasserstein loss of one summed logit is four times the mean over scales; the hinge loss is not."""
    real, fake = 3 * torch.randn(2, 16, 4)
    gaps = [
        (4 * one.discriminator(real, fake) - one.discriminator(real.sum(1), fake.sum(1))).abs().max().item()
        for one in (Wasserstein(), Hinge())
    ]
    assert gaps[0] < 1e-5 and gaps[1] > 1


def test_a_scale_learns_as_if_the_others_were_not_there(vanilla: Callable[..., VanillaGAN]) -> None:
    """Other weights of the coarsest scale change no gradient of the other three; they did with one logit of all."""
    module = vanilla(network=Architecture(partial(resnet.Generator, width=2), trunk_of), objective=NonSaturating())
    module.eval()
    network, logits = module.discriminator
    batch = Batch(torch.rand(4, 1, 16, 16) * 2 - 1)
    fake = module.generate(batch).detach()
    parts = [p for scale in range(3) for p in (*network.judges[scale].parameters(), *logits.scales[scale].parameters())]

    def gradients() -> tuple[Tensor, ...]:
        return torch.autograd.grad(module.discriminator_terms(batch, fake)["realism"].sum(), parts)

    before = gradients()
    with torch.no_grad():
        logits.scales[3].linear.weight.add_(10)
    assert all(torch.equal(one, other) for one, other in zip(before, gradients(), strict=True))


def test_penalties_and_reports_see_the_mean_logit() -> None:
    """The critic's gradient is that of the mean over scales, and what is shown is one number a picture."""
    judge = ConditionalDiscriminator(trunk(), ClassEmbedding(3, 5), SeparateHead).eval()
    images, classes = torch.rand(4, 3, 32, 32), torch.tensor([0, 1, 2, 1])
    x = images.clone().requires_grad_(True)
    embedding = judge.encoder(classes)
    total = sum(
        (logits := head(part, embedding))["realism"] + logits["pair"]
        for head, part in zip(judge.head.scales, scales_of(judge.trunk, x), strict=True)
    )
    (gradient,) = torch.autograd.grad((total / 4).sum(), x)
    batch, fake = Batch(images, classes, classes), Fake(images, torch.zeros(4, 1))
    penalty = R1(2.0)(judge.critic_logit, batch, fake)
    torch.testing.assert_close(penalty, gradient.square().flatten(1).sum(1))
    assert {tuple(logit.shape) for logit in judge.logits(images, classes).values()} == {(4,)}
    assert judge.density_logit(images, classes).shape == (4,)
    assert {tuple(value.shape) for value in judge.report(Hinge(), batch, fake).values()} == {()}


def test_each_scale_sees_its_own_deviation() -> None:
    """Of packs too; the features can still be divided by scales."""
    network = Architecture(resnet.Generator, trunk_of, pack=3, minibatch_deviation=2).trunk((1, 16, 16))
    assert (network.feature_scales, network.feature_shape) == (4, (4 * 5, 1, 1))
    images = torch.rand(12, 1, 16, 16) * 2 - 1
    network.eval()
    parts, plain = network(images).chunk(4, 1), scales_of(network.trunk.trunk, images.reshape(4, 3, 16, 16))
    for part, expected in zip(parts, plain, strict=True):
        torch.testing.assert_close(part[:, :4], expected)
        spread = (expected.reshape(2, 2, -1).var(0, correction=0) + 1e-8).sqrt().mean(1)
        torch.testing.assert_close(part[:, 4].flatten(), spread.repeat(2))


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
