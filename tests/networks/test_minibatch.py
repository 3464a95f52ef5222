"""The feature that says how much a group's samples differ."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ganlab.errors import UserError
from ganlab.networks import mlp, resnet
from ganlab.networks.minibatch import MinibatchDeviation, deviation, largest_divisor
from ganlab.networks.packing import Packed


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


class Same(nn.Module):
    """Features are the images."""

    def __init__(self, *feature_shape: int) -> None:
        super().__init__()
        self.feature_shape = feature_shape

    def forward(self, images: Tensor) -> Tensor:
        return images


def test_by_hand() -> None:
    """8 samples in groups of 4 are {0, 2, 4, 6} and {1, 3, 5, 7}: deviations of 12 features each, averaged."""
    features = torch.randn(8, 3, 2, 2)
    appended = MinibatchDeviation(Same(3, 2, 2), 4)(features)
    assert torch.equal(appended[:, :3], features)
    for start in (0, 1):
        group = features[start::2]
        spread = ((group - group.mean(0)).square().mean(0) + 1e-8).sqrt().mean()
        torch.testing.assert_close(appended[start::2, 3], spread.expand(4, 2, 2))


def test_alike_samples_have_no_deviation_and_a_finite_gradient() -> None:
    """sqrt(1e-8) = 1e-4, and a gradient of zero rather than of zero times infinity."""
    features = torch.ones(4, 3, 2, 2, requires_grad=True)
    spread = deviation(features, 4)
    torch.testing.assert_close(spread.detach(), torch.full((1,), 1e-4))
    spread.sum().backward()
    assert features.grad is not None and torch.equal(features.grad, torch.zeros_like(features))


@pytest.mark.parametrize(("count", "group"), [(8, 4), (6, 3), (10, 2), (7, 1), (4, 4), (3, 3), (1, 1)])
def test_any_number_of_samples_works(count: int, group: int) -> None:
    assert largest_divisor(count, 4) == group
    appended = MinibatchDeviation(Same(2, 1, 1), 4)(torch.randn(count, 2, 1, 1))
    assert appended.shape == (count, 3, 1, 1)
    assert appended[:, 2].unique().numel() == (count // group if group > 1 else 1)


@pytest.mark.parametrize("members", [1, 2])
def test_around_any_trunk(members: int) -> None:
    """Of pictures and of points, packed or not, it says the shape that it gives."""
    pictures = MinibatchDeviation(Packed(resnet.Trunk((3 * members, 16, 16), width=4), members))
    points = MinibatchDeviation(Packed(mlp.Trunk((2 * members,), width=8), members), group=2)
    assert pictures(torch.randn(8, 3, 16, 16)).shape == (8 // members, *pictures.feature_shape)
    assert points(torch.randn(8, 2)).shape == (8 // members, *points.feature_shape)
    assert points.feature_shape == (9, 1, 1)


def test_a_collapsed_batch_is_told_from_a_varied_one() -> None:
    """By the appended feature alone: the same picture eight times, and eight pictures."""
    trunk = MinibatchDeviation(resnet.Trunk((1, 16, 16), width=4))
    images = torch.randn(8, 1, 16, 16)
    varied, collapsed = (trunk(x)[:, -1].mean().item() for x in (images, images[:1].expand(8, -1, -1, -1)))
    assert collapsed < 0.01 * varied


def test_second_derivatives_pass() -> None:
    features = torch.randn(4, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    module = MinibatchDeviation(Same(2, 2, 2), 2)
    module.trunk.double()
    assert torch.autograd.gradgradcheck(lambda x: module(x).square().sum(), features)


def test_a_group_of_one_is_refused() -> None:
    with pytest.raises(UserError, match=r"^`minibatch_deviation` must be .*, got 1$"):
        MinibatchDeviation(Same(2, 1, 1), 1)
