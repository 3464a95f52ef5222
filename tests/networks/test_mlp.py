import pytest
import torch

from ganlab.errors import UserError
from ganlab.networks import mlp


def test_points_are_unbounded():
    torch.manual_seed(0)
    generator = mlp.Generator((2,), 4)
    points = generator(100 * torch.randn(64, 4))
    assert points.shape == (64, 2)
    assert points.abs().max() > 1
    assert mlp.Trunk((2,), width=16)(points).shape == (64, 16, 1, 1)


def test_hidden_layers_are_as_many_and_as_wide_as_asked():
    layers = [layer for layer in mlp.Trunk((2,), width=16, depth=4).hidden if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [(2, 16), (16, 16), (16, 16), (16, 16)]


def test_any_picture_will_do():
    assert mlp.Generator((1, 5, 7), 4)(torch.randn(3, 4)).shape == (3, 1, 5, 7)


@pytest.mark.parametrize("shape", [(), (0,), (3, 4), (1, 2, 3, 4)])
def test_shapes_that_are_neither_points_nor_pictures_are_refused(shape):
    with pytest.raises(UserError, match="`shape` must be"):
        mlp.Generator(shape, 4)


def test_no_layers_are_refused():
    with pytest.raises(UserError, match="`depth` must be at least 1, got 0"):
        mlp.Trunk((2,), depth=0)
