"""Modulated convolution against a loop over samples and a grouped convolution; noise that is read off the code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ganlab.networks.modulation import ModulatedConv2d, PixelNoise, modulated_conv


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def own_weights(weight: Tensor, style: Tensor, demodulate: bool) -> Tensor:
    """(N, outputs, inputs, k, k): the weights of each sample, eqs. 1 and 3 as they are written."""
    scaled = weight * style[:, None, :, None, None]
    return scaled / (scaled.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt() if demodulate else scaled


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("kernel", [1, 3])
def test_against_a_loop_over_samples(demodulate: bool, up: bool, kernel: int) -> None:
    x, style, weight = torch.randn(4, 5, 6, 8), torch.randn(4, 5), torch.randn(7, 5, kernel, kernel)
    expected = [
        F.conv_transpose2d(sample[None], own.transpose(0, 1), stride=2)
        if up
        else F.conv2d(sample[None], own, padding=kernel // 2)
        for sample, own in zip(x, own_weights(weight, style, demodulate), strict=True)
    ]
    given = modulated_conv(x, weight, style, demodulate, up)
    torch.testing.assert_close(given, torch.cat(expected), rtol=1e-5, atol=1e-5)


def test_against_a_grouped_convolution() -> None:
    """The paper's way: the batch as groups of one convolution (appendix B)."""
    x, style, weight = torch.randn(4, 5, 6, 6), torch.randn(4, 5), torch.randn(7, 5, 3, 3)
    grouped = F.conv2d(x.flatten(0, 1)[None], own_weights(weight, style, True).flatten(0, 1), padding=1, groups=4)
    torch.testing.assert_close(modulated_conv(x, weight, style), grouped.view(4, 7, 6, 6), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("up", [True, False])
def test_first_and_second_derivatives(up: bool) -> None:
    """Path lengths need the second."""
    given = [torch.randn(2, 3, 3, 3), torch.randn(2, 3, 3, 3), torch.randn(2, 3)]
    x, weight, style = (tensor.double().requires_grad_(True) for tensor in given)
    assert torch.autograd.gradcheck(lambda *given: modulated_conv(*given, up=up), (x, weight, style))
    assert torch.autograd.gradgradcheck(lambda *given: modulated_conv(*given, up=up), (x, weight, style))


def test_demodulation_keeps_unit_deviation_whatever_the_style() -> None:
    """For x of unit normals each output is a sum with squared weights that add up to 1, away from the edge."""
    layer = ModulatedConv2d(16, 32, 3, 8)
    for scale in (0.1, 10.0):
        y = layer(torch.randn(16, 16, 12, 12), scale * torch.randn(16, 8))[:, :, 1:-1, 1:-1]
        assert y.std().item() == pytest.approx(1, abs=0.05)


def test_the_noise_is_a_function_of_the_code_alone() -> None:
    layer, code = PixelNoise((4, 6), 5), torch.randn(3, 5, requires_grad=True)
    noise = layer.noise(code)
    assert noise.shape == (3, 1, 4, 6) and not noise.requires_grad
    assert torch.equal(noise, layer.noise(code))
    torch.testing.assert_close(layer.noise(code[1:2]), noise[1:2], rtol=0, atol=1e-5)


def test_the_noise_is_like_noise() -> None:
    """Over 4,000 codes: mean 0, variance 1, no correlation between pixels above 5 deviations of 1 / sqrt(4,000)."""
    noise = PixelNoise((4, 6), 16).noise(torch.randn(4000, 16)).flatten(1)
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.var().item() == pytest.approx(1, abs=0.02)
    assert torch.corrcoef(noise.t()).fill_diagonal_(0).abs().max() < 0.08


def test_noise_starts_without_effect_and_learns_its_strength() -> None:
    layer, x, code = PixelNoise((4, 4), 5), torch.randn(2, 3, 4, 4), torch.randn(2, 5)
    assert torch.equal(layer(x, code), x)
    layer(x, code).square().sum().backward()
    assert layer.strength.grad is not None and layer.strength.grad.abs() > 0
