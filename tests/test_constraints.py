"""Constraints: what they hold, that players can still be frozen, copied and saved under them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganlab.constraints import Constraint, SpectralNormalization, Unconstrained, WeightClipping
from ganlab.core.members import Members
from ganlab.errors import UserError
from ganlab.networks import resnet
from ganlab.networks.logits import RealismLogit


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def discriminator() -> nn.Module:
    trunk = resnet.Trunk((3, 16, 16), width=4)
    return nn.Sequential(trunk, RealismLogit(trunk.feature_shape))


def spectral(network: nn.Module) -> nn.Module:
    SpectralNormalization().start(network)
    return network


def layers(network: nn.Module) -> list[nn.Module]:
    return [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))]


def train(network: nn.Module, constraint: Constraint, steps: int) -> None:
    """Steps of gradient descent that blow the logits up."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.ones(2, 3, 16, 16)).mean().neg().backward()
        optimizer.step()
        constraint.enforce(network)


# Clipping ------------------------------------------------------------------------------------------------------------


def test_clipped_parameters_are_in_the_box_at_the_start_and_after_every_step() -> None:
    """All of them, biases too; those inside are not touched."""
    constraint, network = WeightClipping(0.02), discriminator()
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    constraint.start(network)
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, before[name].clamp(-0.02, 0.02))
    train(network, constraint, 3)
    values = nn.utils.parameters_to_vector(network.parameters())
    assert values.abs().max().item() == pytest.approx(0.02)
    assert (values.abs() < 0.0199).any()


@pytest.mark.parametrize("limit", [0.0, -1.0])
def test_a_box_has_an_inside(limit: float) -> None:
    with pytest.raises(UserError, match=r"^`limit` must be greater than 0, got "):
        WeightClipping(limit)


def test_unconstrained_changes_nothing() -> None:
    network = discriminator()
    before = copy.deepcopy(network.state_dict())
    Unconstrained().start(network)
    Unconstrained().enforce(network)
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


# Spectral normalization ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "dim"),
    [(nn.Conv2d(8, 16, 3), 0), (nn.ConvTranspose2d(8, 16, 3), 1), (nn.Linear(30, 20), 0)],
    ids=["convolution", "transposed", "linear"],
)
def test_the_largest_singular_value_is_held_at_one(layer: nn.Module, dim: int) -> None:
    """15 power iterations at the start and 100 forward passes come within 2 % of the exact value.

    W is (channels out, the rest): a transposed convolution keeps its outputs in dim 1.
    """
    nn.init.normal_(layer.get_parameter("weight"), 0, 3)
    network = spectral(nn.Sequential(layer))
    images = torch.randn(1, 30) if isinstance(layer, nn.Linear) else torch.randn(1, 8, 5, 5)
    for _ in range(100):
        network(images)
    weight = network.eval()[0].weight.detach()
    assert torch.linalg.matrix_norm(weight.movedim(dim, 0).flatten(1), ord=2).item() == pytest.approx(1, abs=0.02)


def test_one_pass_is_one_power_iteration() -> None:
    """By hand, from the layer's own u: v = W'u / |W'u|, u = Wv / |Wv|, sigma = u'Wv; none in evaluation mode."""
    network = spectral(nn.Sequential(nn.Linear(5, 4)))
    parametrization = network[0].parametrizations.weight
    weight, u = parametrization.original.detach(), parametrization[0]._u.clone()
    network(torch.ones(1, 5))
    v = torch.nn.functional.normalize(weight.T @ u, dim=0)
    u = torch.nn.functional.normalize(weight @ v, dim=0)
    torch.testing.assert_close(parametrization[0]._u, u)
    torch.testing.assert_close(network.eval()[0].weight.detach(), weight / (u @ weight @ v))
    network(torch.ones(1, 5))
    assert torch.equal(parametrization[0]._u, network[0].parametrizations.weight[0]._u)


def test_it_is_on_every_convolution_and_linear_layer_and_nowhere_else() -> None:
    network = nn.Sequential(
        discriminator(), nn.ConvTranspose2d(2, 2, 4), nn.Embedding(3, 4), nn.GRU(4, 4), nn.BatchNorm2d(4)
    )
    spectral(network)
    normalized = {layer for layer in network.modules() if parametrize.is_parametrized(layer)}
    assert normalized == set(layers(network))
    assert len(normalized) == 9  # 1 + 2 blocks of 3 + 1 linear + 1 transposed


def test_a_discriminator_stays_in_bounds_however_it_is_trained() -> None:
    network = spectral(discriminator())
    train(network, SpectralNormalization(), 30)
    network.eval()
    for layer in layers(network):
        largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)  # type: ignore[operator, union-attr]
        assert largest.item() == pytest.approx(1, abs=0.05)


def test_it_is_refused_twice_and_for_zeros() -> None:
    network = spectral(discriminator())
    with pytest.raises(UserError, match=r"0\.from_image is parametrized already; pass constraint=none$"):
        spectral(network)
    zero = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    nn.init.zeros_(zero[1].weight)
    with pytest.raises(UserError, match=r": 1 starts at zero, "):
        spectral(zero)
    assert not any(parametrize.is_parametrized(layer) for layer in zero.modules())


def test_freezing_sets_the_power_iteration_aside() -> None:
    """The other side's turn trains nothing here and leaves u and v as they were; gradients reach the images."""
    network = spectral(discriminator())
    before = copy.deepcopy(network.state_dict())
    images = torch.randn(2, 3, 16, 16, requires_grad=True)
    with Members(network).frozen():
        network(images).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert images.grad is not None and images.grad.abs().sum() > 0
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    network(images)
    assert not all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_gradient_penalties_train_a_normalized_discriminator() -> None:
    network, images = spectral(discriminator()), torch.randn(2, 3, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(images).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert all(layer.parametrizations.weight.original.grad.abs().sum() > 0 for layer in layers(network))  # type: ignore[union-attr]


def test_a_copy_and_a_state_dict_carry_all_of_it() -> None:
    network, images = spectral(discriminator()), torch.randn(2, 3, 16, 16)
    train(network, SpectralNormalization(), 3)
    copied, other = copy.deepcopy(network), spectral(discriminator())
    other.load_state_dict(network.state_dict())
    expected = output(network, images)
    assert torch.equal(output(copied, images), expected)
    assert torch.equal(output(other, images), expected)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.add_(1)
    assert torch.equal(output(network, images), expected)


def output(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return network.eval()(images)
