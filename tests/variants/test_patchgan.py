"""PatchGAN: its losses by hand, its input heard by both sides, its noise, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec, GanData
from ganlab.data.batch import Batch, Fake, to_float
from ganlab.data.pictures import Pictures
from ganlab.errors import UserError
from ganlab.networks import patch, unet
from ganlab.networks.architecture import Architecture
from ganlab.networks.blocks import NoNorm
from ganlab.objectives import LeastSquares, NonSaturating, RelativisticPairing
from ganlab.perturbations import InstanceNoise
from ganlab.regularizers import R1
from ganlab.sampling.drawing import draw, latents
from ganlab.variants.patchgan import PatchGAN

Make = Callable[..., Any]
SHAPE = (1, 16, 16)


class Negatives(GanData):
    """Pictures of noise, told by their negatives."""

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        images = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), dtype=np.uint8)
        pairs = Pictures(images, torch.from_numpy(255 - images), flip=True)
        return pairs, pairs, DataSpec(SHAPE, "image")


@pytest.fixture
def data() -> Negatives:
    data = Negatives()
    data.reals_per_iteration = 8
    data.setup()
    return data


@pytest.fixture
def batch(data: Negatives) -> Batch:
    return data.train.batch(np.arange(4), np.random.default_rng(0)).ready()


def architecture(scales: int = 1, dropout: float = 0.5, **kwargs: Any) -> Architecture:
    return Architecture(
        partial(unet.Generator, width=4, limit=2, dropout=dropout),
        partial(patch.Discriminator, patch=16, width=4, scales=scales),
        **kwargs,
    )


@pytest.fixture
def make(adam: Side) -> Make:
    """make(...): a PatchGAN of 16 x 16 pictures."""

    def build(seed: int = 0, **kwargs: Any) -> PatchGAN:
        torch.manual_seed(seed)
        defaults: dict[str, Any] = {
            "network": architecture(),
            "objective": NonSaturating(),
            "generator": adam,
            "discriminator": adam,
            "average": MovingAverage(half_life=50, ramp=1.0),
        }
        return PatchGAN(DataSpec(SHAPE, "image"), **{**defaults, **kwargs})

    return build


def logits(module: PatchGAN, images: Tensor, batch: Batch) -> list[Tensor]:
    return module.discriminator(torch.cat([batch.condition, images], 1))


@pytest.mark.parametrize("scales", [1, 2])
def test_the_losses_are_those_of_the_paper(make: Make, batch: Batch, scales: int) -> None:
    """L_D = 1/2 (BCE(D(x, y), 1) + BCE(D(x, G(x, z)), 0)), L_G = BCE(D(x, G(x, z)), 1) + 100 |y - G(x, z)|: each a mean
    over the patches of a scale, and a sum over scales, as Wang et al. 2018 have it."""
    module = make(network=architecture(scales))
    fake = module.generate(batch).detach()
    real_logits, fake_logits = logits(module, batch.images, batch), logits(module, fake.images, batch)
    assert len(real_logits) == scales
    told = module.discriminator_terms(batch, fake)["realism"]
    loss = [
        softplus(-r).mean((1, 2, 3)) + softplus(f).mean((1, 2, 3))
        for r, f in zip(real_logits, fake_logits, strict=True)
    ]
    torch.testing.assert_close(told, 0.5 * torch.stack(loss).sum(0))
    terms = module.generator_terms(batch, fake)
    torch.testing.assert_close(
        terms["realism"], torch.stack([softplus(-f).mean((1, 2, 3)) for f in fake_logits]).sum(0)
    )
    torch.testing.assert_close(terms["l1"], 100 * (batch.images - fake.images).abs().mean((1, 2, 3)))


def test_weights_are_settings(make: Make, batch: Batch) -> None:
    plain, weighted = make(), make(l1_weight=10.0, realism_weight=0.0)
    fake = Fake(torch.rand(4, *SHAPE), plain.draw_latent(4))
    one, other = plain.generator_terms(batch, fake), weighted.generator_terms(batch, fake)
    torch.testing.assert_close(other["l1"], one["l1"] / 10)
    assert (other["realism"] == 0).all()


def test_an_objective_that_compares_gets_both_pictures_of_a_pair(make: Make, batch: Batch) -> None:
    module = make(objective=RelativisticPairing())
    fake = Fake(torch.rand(4, *SHAPE), module.draw_latent(4))
    (real,), (generated,) = logits(module, batch.images, batch), logits(module, fake.images, batch)
    told = module.generator_terms(batch, fake)["realism"]
    torch.testing.assert_close(told, softplus(real - generated).mean((1, 2, 3)))


def test_both_sides_see_the_input(make: Make, batch: Batch) -> None:
    module = make()
    other = Batch(batch.images, -batch.condition)
    latent = module.draw_latent(4)
    assert not torch.allclose(module.sample(latent, batch.condition), module.sample(latent, other.condition), atol=1e-3)
    assert not torch.allclose(
        module.critic(batch.images, batch.condition), module.critic(batch.images, other.condition), atol=1e-3
    )


def test_penalties_reach_pictures_of_patches(make: Make, batch: Batch, adam: Side) -> None:
    """R1 of a linear discriminator: its one logit a patch is w . patch, so the critic's gradient is known."""
    side = Side(adam.optimizer, regularizers={"r1": R1(weight=2.0)})
    module = make(discriminator=side)
    module.discriminator = _Linear()
    weight = module.discriminator.layer.weight[0, 1]  # on the picture; channel 0 is the input
    expected = weight.square().sum() / (4 * 4) ** 2 * (4 * 4)  # 16 patches side by side, a mean over them
    penalty = module.penalties("discriminator", batch, Fake(batch.images, module.draw_latent(4)))["r1"]
    torch.testing.assert_close(penalty, expected.expand(4))


class _Linear(nn.Module):
    """4 x 4 patches that do not overlap."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 1, 4, 4)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.layer(images)]


def test_learns_and_every_part_takes_part(make: Make, data: Negatives, trainer: Make, snapshot: Make) -> None:
    """Sixty iterations on a negative, which a U-Net's skips make easy: the held-out L1 falls by a third or more."""
    module = make()
    held_out = data.reference.batch(np.arange(40), np.random.default_rng(0))
    before, start = snapshot(module), module.held_out_report(held_out)
    trainer(60).fit(module, data)
    after, end = snapshot(module), module.held_out_report(held_out)
    assert end["l1"] < start["l1"] * 2 / 3
    names = [name for name, _ in module.named_parameters()]
    assert all(not torch.equal(before[name], after[name]) for name in names)


def test_report(make: Make, batch: Batch) -> None:
    """Divergence of a patch, at most log 2; at the start the discriminator can hardly tell, so it is near zero."""
    report = make(network=architecture(scales=2)).held_out_report(batch)
    assert set(report) == {"divergence", "realism_accuracy", "l1"}
    assert -1 < report["divergence"] < 0.6932
    assert 0 <= report["realism_accuracy"] <= 1
    assert 0 < report["l1"] < 2


def test_a_picture_is_its_input_and_its_seed(make: Make, data: Negatives) -> None:
    """One seed a picture: drawn alone or with others, in training mode or not; another seed, another picture."""
    module, inputs = make(), torch.as_tensor(data.reference.condition)[:6]
    (together,) = draw(module, inputs, latents(module, range(6)))
    (alone,) = draw(module.train(), inputs[4:5], latents(module, [4]))
    assert (
        together[4].int() - alone[0].int()
    ).abs().max() <= 1  # another batch size may round the last bit differently
    (other,) = draw(module, inputs[4:5], latents(module, [5]))
    assert not torch.equal(other, alone)


def test_without_dropout_seeds_change_nothing(make: Make, batch: Batch) -> None:
    module = make(network=architecture(dropout=0.0))
    first, second = (module.sample(module.draw_latent(4), batch.condition) for _ in range(2))
    assert module.latent_dim == 0
    assert torch.equal(first, second)


def test_perturbations_act_on_input_and_picture_together(make: Make, batch: Batch) -> None:
    """Noise on what the discriminator sees: it judges a picture differently each time, which is itself the same."""
    module = make(network=architecture(perturbations={"noise": InstanceNoise(sigma=0.5)}))
    first, second = (module.critic(batch.images, batch.condition) for _ in range(2))
    assert not torch.allclose(first, second)
    latent = module.draw_latent(4)
    assert torch.equal(module.sample(latent, batch.condition), module.sample(latent, batch.condition))


@pytest.mark.parametrize("kwargs", [{"pack": 2}, {"minibatch_deviation": 4}])
def test_patches_are_judged_alone(make: Make, kwargs: dict[str, int]) -> None:
    with pytest.raises(UserError, match="`pack` must be 1 and `minibatch_deviation` 0 with patches"):
        make(network=architecture(**kwargs))


def test_data_without_input_pictures_are_refused(adam: Side) -> None:
    with pytest.raises(UserError, match="data=lines or data=pairs"):
        PatchGAN(DataSpec(SHAPE, "text"), architecture(), LeastSquares(), adam, adam, MovingAverage())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("recipe=patchgan", "network=resnet"), "draws from a code, .* use network=pix2pix"),
        (
            ("recipe=vanilla", "network=pix2pix", "+normalization=instance"),
            "draws from a picture, .* use recipe=patchgan",
        ),
        (("recipe=patchgan", "data=emoji"), "data=lines or data=pairs"),
        (("recipe=patchgan", "network.discriminator.patch=50"), "must be one of 1, 16, 34, 70, 142, 286, got 50"),
        (("recipe=patchgan", "normalization=batch", "regularizer=[r1]"), "normalizes over the batch"),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_picture_is_drawn(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make_data(compose(*words))


def test_conditions_become_floats_with_their_images(data: Negatives) -> None:
    """A negative: condition = -image, exactly, after `ready`; and they are mirrored together."""
    stored = data.train.batch(np.arange(40), np.random.default_rng(1))
    assert stored.condition.dtype == torch.uint8  # type: ignore[union-attr]
    batch = stored.ready()
    assert batch.mismatched is None
    torch.testing.assert_close(batch.condition, -batch.images)
    originals = to_float(torch.as_tensor(data.train.images))
    mirrored = [not torch.equal(image, original) for image, original in zip(batch.images, originals, strict=True)]
    assert 5 < sum(mirrored) < 35
    torch.testing.assert_close(batch.images[mirrored], originals[mirrored].flip(-1))


def test_a_critic_without_normalization_judges_each_pair_alone(make: Make, batch: Batch) -> None:
    network = Architecture(
        partial(unet.Generator, width=4), partial(patch.Discriminator, patch=16, width=4, normalization=NoNorm())
    )
    module = make(network=network)
    whole = module.critic(batch.images, batch.condition)
    torch.testing.assert_close(module.critic(batch.images[2:3], batch.condition[2:3]), whole[2:3])  # type: ignore[index]
