"""Codes: the divergence from the prior in closed form, draws that carry gradients, and scales."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import log

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from ganlab.networks import dcgan, mlp, resnet
from ganlab.networks.encoder import DiagonalGaussian, Encoder, GaussianCode, StandardizedCode

TRUNKS: dict[str, Callable[..., nn.Module]] = {
    "dcgan": partial(dcgan.Trunk, width=2),
    "resnet": partial(resnet.Trunk, width=2),
    "mlp": partial(mlp.Trunk, width=8),
}
trunks = pytest.mark.parametrize("trunk", TRUNKS.values(), ids=TRUNKS.keys())
SHAPE = (1, 16, 16)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def some() -> DiagonalGaussian:
    return DiagonalGaussian(torch.randn(4, 3), torch.randn(4, 3))


def test_kl_of_known_distributions() -> None:
    """(mean^2 + sigma^2 - 1 - log sigma^2) / 2: the prior 0, a mean of 1 gives 1/2, sigma = 2 gives (3 - log 4) / 2."""
    mean = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    distributions = DiagonalGaussian(mean, torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, log(4)]]))
    torch.testing.assert_close(distributions.kl(), torch.tensor([0.0, 0.5, (3 - log(4)) / 2]))


def test_kl_is_that_of_torch(some: DiagonalGaussian) -> None:
    expected = kl_divergence(Normal(some.mean, (some.log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(some.kl(), expected)


def test_kl_is_the_mean_log_ratio_of_its_draws(some: DiagonalGaussian) -> None:
    """E_q[log q(z) - log p(z)], by 40,000 draws; within five standard errors, and no looser than 5 %."""
    many = DiagonalGaussian(some.mean.repeat(40_000, 1), some.log_variance.repeat(40_000, 1))
    z = many.draw()
    ratio = (Normal(many.mean, (many.log_variance / 2).exp()).log_prob(z) - Normal(0.0, 1.0).log_prob(z)).sum(1)
    ratio = ratio.view(40_000, 4)
    error = ratio.std(0) / 200
    assert ((ratio.mean(0) - some.kl()).abs() < 5 * error).all()
    assert (5 * error < 0.05 * some.kl()).all()


def test_kl_is_in_float32_whatever_the_network_is_in(some: DiagonalGaussian) -> None:
    halved = DiagonalGaussian(some.mean.bfloat16(), some.log_variance.bfloat16())
    assert halved.kl().dtype == torch.float32
    torch.testing.assert_close(halved.kl(), some.kl(), rtol=0.03, atol=0.03)


def test_draws_have_the_mean_and_the_variance(some: DiagonalGaussian) -> None:
    """Of 40,000 draws: means within 5 sigma / 200, variances within 5 %."""
    many = DiagonalGaussian(some.mean.repeat(40_000, 1), some.log_variance.repeat(40_000, 1))
    z = many.draw().view(40_000, 4, 3)
    sigma = (some.log_variance / 2).exp()
    assert ((z.mean(0) - some.mean).abs() < 5 * sigma / 200).all()
    torch.testing.assert_close(z.var(0), sigma.square(), rtol=0.05, atol=0)


def test_gradients_pass_through_draws(some: DiagonalGaussian) -> None:
    """z = mean + sigma eps: dz/dmean = 1, dz/dlog sigma^2 = sigma eps / 2 = (z - mean) / 2."""
    mean, log_variance = some.mean.requires_grad_(), some.log_variance.requires_grad_()
    z = DiagonalGaussian(mean, log_variance).draw()
    by_mean, by_log_variance = torch.autograd.grad(z.sum(), [mean, log_variance])
    torch.testing.assert_close(by_mean, torch.ones_like(mean))
    torch.testing.assert_close(by_log_variance, (z - mean).detach() / 2)


@trunks
def test_an_encoder_looks_through_any_trunk(trunk: Callable[..., nn.Module]) -> None:
    """And at every place of its map: no feature is without a weight."""
    encoder = Encoder(trunk(SHAPE), 5)
    assert encoder(torch.randn(3, *SHAPE)).shape == (3, 5)
    features = encoder.trunk(torch.randn(2, *SHAPE))
    assert encoder.linear.in_features == features[0].numel()


def test_an_autoencoders_codes_are_standardized() -> None:
    """Mean 0, variance 1 over the batch, however wide the encoder's own outputs lie; and no weights that undo it."""
    coder = StandardizedCode(mlp.Trunk(SHAPE, width=8), mlp.Generator(SHAPE, 3, width=8), 3)
    with torch.no_grad():
        coder.encoder.linear.weight.mul_(50)
        coder.encoder.linear.bias.add_(7)
    code = coder.code(torch.randn(64, *SHAPE))
    torch.testing.assert_close(code.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(code.var(0, correction=0), torch.ones(3), atol=1e-3, rtol=0)
    assert not list(coder.standardize.parameters())


def test_a_shown_autoencoders_codes_do_not_depend_on_their_batch() -> None:
    coder = StandardizedCode(mlp.Trunk(SHAPE, width=8), mlp.Generator(SHAPE, 3, width=8), 3)
    images = torch.randn(16, *SHAPE)
    coder(images)
    coder.eval()
    torch.testing.assert_close(coder(images), torch.cat([coder(image[None]) for image in images]), rtol=1e-4, atol=1e-5)


@trunks
def test_reconstructions_are_decoded_means(trunk: Callable[..., nn.Module]) -> None:
    coder = GaussianCode(trunk(SHAPE), resnet.Generator(SHAPE, 3, width=2), 3).eval()
    images = torch.randn(4, *SHAPE)
    posterior = coder.posterior(images)
    assert posterior.mean.shape == posterior.log_variance.shape == (4, 3)
    torch.testing.assert_close(coder(images), coder.decoder(posterior.mean))


def test_no_posterior_is_infinitely_wide_or_narrow() -> None:
    coder = GaussianCode(mlp.Trunk(SHAPE, width=8), mlp.Generator(SHAPE, 3, width=8), 3)
    with torch.no_grad():
        coder.encoder.linear.weight.mul_(1e4)
    posterior = coder.posterior(torch.randn(64, *SHAPE))
    assert posterior.log_variance.min() == -20 and posterior.log_variance.max() == 10
    assert posterior.draw().isfinite().all() and posterior.kl().isfinite().all()
