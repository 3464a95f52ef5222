"""Autoencoders: their losses in closed form, one player who takes steps, and what is shown of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import log, pi
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import to_float
from ganlab.data.stream import Stream
from ganlab.errors import UserError
from ganlab.networks import dcgan
from ganlab.networks.architecture import Architecture
from ganlab.networks.encoder import DiagonalGaussian
from ganlab.regularizers import R1
from ganlab.variants import Autoencoder, VariationalAutoencoder
from ganlab.variants.autoencoder import ROUNDING, PixelAutoencoder, reconstruction_error, squared_error, surprise

Make = Callable[..., Any]
KINDS = [Autoencoder, VariationalAutoencoder]
kinds = pytest.mark.parametrize("kind", KINDS)
SHAPE = (1, 16, 16)


@pytest.fixture
def make(plain: Architecture, sgd: Side) -> Make:
    """make(kind, ...): an autoencoder of 16 x 16 pictures, stepping by its gradient."""

    def build(kind: type, seed: int = 0, shape: tuple[int, ...] = SHAPE, **kwargs: Any) -> PixelAutoencoder:
        torch.manual_seed(seed)
        defaults = {
            "network": plain,
            "generator": sgd,
            "average": MovingAverage(half_life=50, ramp=1.0),
            "latent_dim": 4,
        }
        return kind(DataSpec(shape, "text"), **{**defaults, **kwargs})

    return build


@pytest.fixture
def fit(trainer: Make, noise: Make) -> Make:
    def run(module: PixelAutoencoder, iterations: int, **kwargs: Any) -> Any:
        running = trainer(iterations, **kwargs)
        running.fit(module, noise(shape=module.spec.shape))
        return running

    return run


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The standard normal numbers that codes are drawn with from now on, in order."""
    taken: list[Tensor] = []

    def draw(self: DiagonalGaussian) -> Tensor:
        taken.append(torch.randn_like(self.mean))
        return self.mean + (self.log_variance / 2).exp() * taken[-1]

    monkeypatch.setattr(DiagonalGaussian, "draw", draw)
    return taken


# Losses --------------------------------------------------------------------------------------------------------------


def pictures(count: int = 6, seed: int = 0) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_error_is_a_mean_over_a_pictures_values() -> None:
    """Off by 1/2 everywhere in one picture, by 1 in one of the 256 values of another: 1/4 and 1/256."""
    images = torch.zeros(2, *SHAPE)
    decoded = torch.zeros(2, *SHAPE)
    decoded[0], decoded[1, 0, 3, 5] = 0.5, 1.0
    torch.testing.assert_close(squared_error(decoded, images), torch.tensor([1 / 4, 1 / 256]))


def test_surprise_is_the_normal_density_at_the_best_variance() -> None:
    """-log N(x; decoded, sigma^2), summed over values and pictures, sigma^2 = mean squared error; any other costs more.

    In numbers, for pictures that are all off by 1/10 and 256 values: 128 (log(2 pi / 100) + 1) = -226.2 nats.
    """
    images, decoded = pictures(seed=0), pictures(seed=1)
    error = (images - decoded).square().mean()

    def total(variance: Tensor) -> Tensor:
        return -Normal(decoded, variance.sqrt()).log_prob(images).sum()

    ours = surprise(decoded, images).sum()
    torch.testing.assert_close(ours, total(error), rtol=1e-5, atol=0)
    assert total(error * 0.9) > ours + 1 and total(error * 1.1) > ours + 1
    torch.testing.assert_close(
        surprise(images + 0.1, images), torch.full((6,), 128 * (log(2 * pi / 100) + 1)), rtol=1e-4, atol=0
    )


def test_the_variance_needs_no_gradient_where_it_is_best() -> None:
    """The gradient of N D/2 log(mean squared error), through everything, equals ours, through the error alone."""
    images, decoded = pictures(seed=0), pictures(seed=1).requires_grad_()
    (ours,) = torch.autograd.grad(surprise(decoded, images).sum(), decoded)
    through_all = 6 * 256 / 2 * (decoded - images).square().mean().log()
    torch.testing.assert_close(ours, torch.autograd.grad(through_all, decoded)[0], rtol=1e-5, atol=1e-6)


def test_no_pixel_is_known_better_than_it_was_rounded() -> None:
    """A perfect reconstruction costs D/2 log(2 pi (2/255)^2 / 12) nats, and not minus infinity."""
    exact = surprise(pictures(), pictures())
    torch.testing.assert_close(exact, torch.full((6,), 128 * log(2 * pi * ROUNDING)), rtol=1e-5, atol=0)


def test_terms_of_the_variational_bound(make: Make, drawn: list[Tensor]) -> None:
    """By torch's own distributions: -log p(x|z) for the code that was drawn, and beta KL(q || N(0, 1))."""
    module, images = make(VariationalAutoencoder, beta=3.0), pictures()
    terms = module.terms(images)
    mean, log_variance = module.generator.encoder(images).chunk(2, 1)
    decoded = module.generator.decoder(mean + (log_variance / 2).exp() * drawn[0])
    sigma = (decoded - images).square().mean().sqrt()
    q = Normal(mean, (log_variance / 2).exp())
    kl = torch.distributions.kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    assert terms.keys() == {"reconstruction", "kl"}
    torch.testing.assert_close(terms["kl"], 3 * kl)
    torch.testing.assert_close(terms["reconstruction"], -Normal(decoded, sigma).log_prob(images).sum((1, 2, 3)))


# Steps ---------------------------------------------------------------------------------------------------------------


def loss_of(module: PixelAutoencoder, images: Tensor, noise: list[Tensor]) -> Tensor:
    """The loss as one would write it by hand."""
    coder = module.generator
    if isinstance(module, Autoencoder):
        return nn.functional.mse_loss(coder(images), images)
    mean, log_variance = coder.encoder(images).chunk(2, 1)
    error = (coder.decoder(mean + (log_variance / 2).exp() * noise.pop(0)) - images).square().mean()
    kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / 2 / len(images)
    return images[0].numel() / 2 * (error / error.detach()) + kl


@kinds
@pytest.mark.parametrize(("turns", "accumulate"), [(1, 1), (2, 1), (1, 2)])
def test_equals_the_plain_loop(
    make: Make, fit: Make, noise: Make, sgd: Side, drawn: list[Tensor], kind: type, turns: int, accumulate: int
) -> None:
    """Gradient descent at a rate of 1e-4 on the loss written by hand, four iterations of 8 pictures."""
    side = replace(sgd, optimizer=partial(torch.optim.SGD, lr=1e-4), turns=turns, accumulate=accumulate)
    module = make(kind, generator=side)
    twin = copy.deepcopy(module).generator
    fit(module, 4)
    holder = copy.deepcopy(module)
    holder.generator = twin
    for i in range(4):
        images = to_float(Stream(noise().train, 8).at(i).images)
        for _ in range(turns):
            parts = images.chunk(accumulate)
            loss = sum((loss_of(holder, part, drawn) for part in parts), torch.zeros(())) / accumulate
            for parameter, gradient in zip(
                twin.parameters(), torch.autograd.grad(loss, list(twin.parameters())), strict=True
            ):
                parameter.data.sub_(1e-4 * gradient)
    torch.testing.assert_close(dict(module.generator.state_dict()), dict(twin.state_dict()), rtol=1e-5, atol=1e-6)


@kinds
def test_learns_to_give_pictures_back(make: Make, fit: Make, adam: Side, kind: type) -> None:
    """Forty pictures of noise in a code of four numbers: a tenth of the error is soon gone, and more cannot be."""
    module = make(kind, generator=adam)
    images = pictures(32)
    before = reconstruction_error(module.generator, images)
    module.terms(images)
    fit(module, 60)
    noise_pictures = to_float(module.trainer.datamodule.reference.get(slice(0, 40)))
    after = reconstruction_error(module.generator, noise_pictures)
    assert 0.5 * before < after < 0.95 * before


# What is shown -------------------------------------------------------------------------------------------------------


@kinds
def test_samples_are_the_averages(make: Make, fit: Make, kind: type) -> None:
    """Decoded by the average, whatever the rest of the batch; in range, without a graph."""
    module = make(kind, network=Architecture(partial(dcgan.Generator, width=4), partial(dcgan.Trunk, width=4)))
    fit(module, 3)
    module.train()
    latent = module.draw_latent(5, torch.Generator().manual_seed(0))
    together = module.sample(latent)
    assert together.shape == (5, *SHAPE) and together.abs().max() <= 1 and not together.requires_grad
    torch.testing.assert_close(together, torch.cat([module.sample(row[None]) for row in latent]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together, copy.deepcopy(module.average).eval().decoder(latent))


@kinds
def test_held_out_report_is_of_the_average_and_leaves_no_trace(
    make: Make, fit: Make, noise: Make, snapshot: Make, same: Make, kind: type
) -> None:
    module = make(kind)
    fit(module, 3)
    batch = next(iter(noise().train_dataloader()))
    before, random = snapshot(module), torch.get_rng_state()
    report = module.held_out_report(batch)
    assert same(before, snapshot(module)) and torch.equal(random, torch.get_rng_state())
    images = to_float(batch.images)
    with torch.no_grad():
        expected = {"reconstruction_error": nn.functional.mse_loss(module.average(images), images)}
        if kind is VariationalAutoencoder:
            expected["kl"] = module.average.posterior(images).kl().mean()
    torch.testing.assert_close(report, expected)
    assert all(value.dim() == 0 for value in report.values())


@kinds
def test_points_can_be_coded_too(make: Make, kind: type) -> None:
    module = make(kind, shape=(2,))
    points = torch.randn(16, 2)
    assert module.generator(points).shape == (16, 2)
    assert all(term.shape == (16,) for term in module.terms(points).values())


@kinds
def test_nothing_is_told_and_nothing_put_around_the_trunk(make: Make, plain: Architecture, kind: type) -> None:
    """An encoder must see the picture itself: what a recipe puts around a discriminator's trunk is not asked for."""

    class Disturbed(Architecture):
        def trunk(self, shape: Any) -> Any:
            raise AssertionError("an encoder was given a disturbed trunk")

    module = make(kind, network=Disturbed(plain.generator, plain.discriminator))
    assert module.spec.kind == "none"


@kinds
def test_penalties_need_a_discriminator(make: Make, sgd: Side, kind: type) -> None:
    with pytest.raises(UserError, match=r"`generator.regularizers.r1` needs a discriminator"):
        make(kind, generator=replace(sgd, regularizers={"r1": R1(1.0)}))


def test_a_weight_is_not_negative(make: Make) -> None:
    with pytest.raises(UserError, match=r"`variant.beta` must be at least 0, got -1"):
        make(VariationalAutoencoder, beta=-1)
