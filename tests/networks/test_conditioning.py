import math

import pytest
import torch

from ganlab.networks.conditioning import ClassEmbedding, ConditionalBatchNorm2d, ConditioningAugmentation


def test_a_class_has_one_vector():
    encoder = ClassEmbedding(5, 7)
    vectors = encoder(torch.tensor([3, 1, 3]))
    assert vectors.shape == (3, encoder.dim)
    assert torch.equal(vectors[0], vectors[2])
    assert not torch.equal(vectors[0], vectors[1])


def test_conditional_batch_norm_is_its_formula():
    """(1 + a(code)) (x - mean) / sqrt(variance + eps) + b(code), moments over batch and pixels, variance / n."""
    torch.manual_seed(0)
    norm, x, code = ConditionalBatchNorm2d(3, 5), torch.randn(4, 3, 6, 6) * 2 + 1, torch.randn(4, 5)
    torch.nn.init.normal_(norm.modulate.bias)
    weight, bias = norm.modulate.weight, norm.modulate.bias
    a, b = code @ weight[:3].T + bias[:3], code @ weight[3:].T + bias[3:]
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    expected = (1 + a)[:, :, None, None] * (x - mean) / (variance + 1e-5).sqrt() + b[:, :, None, None]
    torch.testing.assert_close(norm(x, code), expected)


def test_conditional_batch_norm_in_evaluation_uses_the_running_moments():
    norm, x, code = ConditionalBatchNorm2d(3, 5).eval(), torch.randn(4, 3, 6, 6), torch.zeros(4, 5)
    torch.testing.assert_close(norm(x, code), x / math.sqrt(1 + 1e-5))


def test_augmentation_draws_from_its_normal_distribution_and_says_how_far_it_is():
    """mean 2, log variance log 4 in every dim: draws 2 + 2 noise; KL = (4 + 4 - 1 - log 4) / 2 = 2.8069 nats a dim."""
    augment = ConditioningAugmentation(3, 2)
    torch.nn.init.zeros_(augment.moments.weight)
    augment.moments.bias.data = torch.tensor([2.0, 2.0, math.log(4), math.log(4)])
    noise = torch.tensor([[0.0, 1.0], [-1.0, 0.5]])
    draw, divergence = augment(torch.randn(2, 3), noise)
    torch.testing.assert_close(draw, 2 + 2 * noise)
    torch.testing.assert_close(divergence, torch.full((2,), (7 - math.log(4)) / 2))


def test_augmentation_is_not_clamped():
    """A rectified log variance could not go below 0, nor a rectified mean: both do here, and the KL stays positive."""
    augment = ConditioningAugmentation(1, 1)
    torch.nn.init.zeros_(augment.moments.weight)
    augment.moments.bias.data = torch.tensor([-3.0, -2.0])
    draw, divergence = augment(torch.zeros(1, 1), torch.ones(1, 1))
    assert draw.item() == pytest.approx(-3 + math.exp(-1))
    assert divergence.item() == pytest.approx((9 + math.exp(-2) - 1 + 2) / 2)
