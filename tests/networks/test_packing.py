"""Samples judged in packs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ganlab.errors import UserError
from ganlab.networks import dcgan, mlp
from ganlab.networks.blocks import NoNorm
from ganlab.networks.packing import Packed
from ganlab.regularizers import squared_gradient_norm


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


class Flat(nn.Module):
    """Shows what it is given."""

    feature_shape = (12, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        return images


@pytest.mark.parametrize("shape", [(3, 4, 4), (2,)], ids=["pictures", "points"])
def test_a_pack_is_consecutive_samples_beside_each_other(shape: tuple[int, ...]) -> None:
    images = torch.randn(6, *shape)
    packs = Packed(Flat(), 3)(images)
    assert packs.shape == (2, 3 * shape[0], *shape[1:])
    for i in range(2):
        assert torch.equal(packs[i], torch.cat([*images[3 * i : 3 * i + 3]]))


def test_features_of_packs_have_the_trunks_shape() -> None:
    pictures = Packed(dcgan.Trunk((2 * 3, 16, 16), width=2, normalization=NoNorm()), 2)
    points = Packed(mlp.Trunk((4 * 2,), width=8), 4)
    assert pictures(torch.randn(6, 3, 16, 16)).shape == (3, *pictures.feature_shape)
    assert points(torch.randn(8, 2)).shape == (2, *points.feature_shape)
    assert pictures.feature_shape == pictures.trunk.feature_shape


def test_packs_of_one_are_samples() -> None:
    trunk, points = mlp.Trunk((2,), width=8), torch.randn(5, 2)
    assert torch.equal(Packed(trunk, 1)(points), trunk(points))


def test_samples_that_do_not_divide_are_refused_in_one_line() -> None:
    with pytest.raises(
        UserError, match=r"^`pack` must divide the 5 samples of a pass, got 2: change pack or batch_size$"
    ):
        Packed(Flat(), 2)(torch.randn(5, 2))
    with pytest.raises(UserError, match=r"^`pack` must be at least 1 sample, got 0$"):
        Packed(Flat(), 0)


def test_each_sample_of_a_pack_has_its_own_gradient_norm() -> None:
    """D(pack) = sum of w_k . x_k over its m members: a penalty at sample k of a pack is ||w_k||^2."""
    weight = torch.randn(3, 2)
    packed = Packed(Flat(), 3)
    norms = squared_gradient_norm(lambda x, _: packed(x) @ weight.flatten(), torch.randn(6, 2), None)
    torch.testing.assert_close(norms, weight.square().sum(1).repeat(2))
