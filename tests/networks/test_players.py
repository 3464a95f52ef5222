"""What every generator and every trunk promises, whatever its architecture."""

import copy
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from ganlab.constraints import SpectralNormalization
from ganlab.errors import UserError
from ganlab.networks import dcgan, fastgan, mlp, r3gan, resnet, stylegan2
from ganlab.networks.blocks import LayerNorm, NoNorm, grid, map_sides
from ganlab.networks.logits import PairLogit, RealismLogit
from tests.components import examples, networks

CODE = 6


def spectral(network: nn.Module) -> nn.Module:
    SpectralNormalization().start(network)
    return network


def awake(network: nn.Module) -> nn.Module:
    """A network as it is after some steps: layers that start at zero have weights."""
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return network


def second(shape: tuple[int, ...]) -> list[int]:
    """The side of the second coarsest map: 8 of most pictures."""
    size, levels = grid(shape)
    return [map_sides(size, levels)[1]]


GENERATORS: dict[str, Callable[[tuple[int, ...]], nn.Module]] = {
    "dcgan": lambda shape: dcgan.Generator(shape, CODE, width=2),
    "dcgan-layernorm": lambda shape: dcgan.Generator(shape, CODE, width=2, normalization=LayerNorm()),
    "resnet": lambda shape: resnet.Generator(shape, CODE, width=2),
    "resnet-learned": lambda shape: resnet.Generator(shape, CODE, width=2, start=resnet.Learned()),
    "mlp": lambda shape: mlp.Generator(shape, CODE, width=8),
    "stylegan2": lambda shape: stylegan2.Generator(shape, CODE, width=2, style_dim=8, depth=2),
    "fastgan": lambda shape: awake(fastgan.Generator(shape, CODE, width=2, limit=4)),
    "resnet-attention": lambda shape: awake(resnet.Generator(shape, CODE, width=2, attention=[8])),
    "r3gan": lambda shape: awake(r3gan.Generator(shape, CODE, width=4, group=2)),
    "stylegan2-residual": lambda shape: stylegan2.Generator(shape, CODE, width=2, style_dim=8, depth=2, residual=True),
    "dcgan-attention": lambda shape: awake(dcgan.Generator(shape, CODE, width=2, attention=second(shape))),
    "stylegan2-attention": lambda shape: awake(
        stylegan2.Generator(shape, CODE, width=2, style_dim=8, depth=2, attention=second(shape))
    ),
    "fastgan-attention": lambda shape: awake(fastgan.Generator(shape, CODE, width=2, limit=4, attention=second(shape))),
}
TRUNKS: dict[str, Callable[[tuple[int, ...]], nn.Module]] = {
    "dcgan": lambda shape: dcgan.Trunk(shape, width=2),
    "dcgan-nonorm": lambda shape: dcgan.Trunk(shape, width=2, normalization=NoNorm()),
    "dcgan-layernorm": lambda shape: dcgan.Trunk(shape, width=2, normalization=LayerNorm()),
    "resnet": lambda shape: resnet.Trunk(shape, width=2),
    "resnet-spectral": lambda shape: spectral(resnet.Trunk(shape, width=2)),
    "mlp": lambda shape: mlp.Trunk(shape, width=8),
    "stylegan2": lambda shape: stylegan2.Trunk(shape, width=2, deviation=0),
    "fastgan": lambda shape: fastgan.Trunk(shape, width=2, limit=4),
    "resnet-attention": lambda shape: awake(resnet.Trunk(shape, width=2, attention=[8])),
    "r3gan-attention": lambda shape: awake(r3gan.Trunk(shape, width=4, group=2, attention=[8])),
    "r3gan": lambda shape: awake(r3gan.Trunk(shape, width=4, group=2)),
    "r3gan-map": lambda shape: awake(r3gan.Trunk(shape, width=4, group=2, basis=False)),
    "stylegan2-skip": lambda shape: stylegan2.Trunk(shape, width=2, deviation=0, residual=False, dense=False),
    "dcgan-attention": lambda shape: awake(
        dcgan.Trunk(shape, width=2, normalization=NoNorm(), attention=second(shape))
    ),
    "stylegan2-attention": lambda shape: awake(stylegan2.Trunk(shape, width=2, deviation=0, attention=second(shape))),
    "fastgan-attention": lambda shape: awake(fastgan.Trunk(shape, width=2, limit=4, attention=second(shape))),
}
SQUARE = (("dcgan", "dcgan-layernorm", "resnet"), ("dcgan", "dcgan-nonorm", "dcgan-layernorm", "resnet"))
"""Generators and trunks that take squares of a power of two only."""
ANY_ASPECT = ("stylegan2", "r3gan", "fastgan")
"""Networks that take any sides that `blocks.grid` takes, by how their names begin."""
SEPARATE = {"stack.Refiner", "projected.Trunk", "patch.Discriminator"}
"""Networks of another contract, which have a test file of their own."""


def found(*takes: str) -> dict[str, Callable[[tuple[int, ...]], nn.Module]]:
    """Every network of the package with its own settings, narrow, by its file; those above have others."""
    every = {f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}": kind for kind in networks(*takes)}
    plain = {name.partition(".")[0] if name.endswith((".Generator", ".Trunk")) else name: name for name in every}
    return {
        key: lambda shape, kind=every[name]: examples(kind, shape=shape, code_dim=CODE, width=8)[0]
        for key, name in plain.items()
        if name not in SEPARATE and getattr(every[name], "draws_from", "code") == "code"
    }


GENERATORS = {**found("code_dim"), **GENERATORS}
TRUNKS = {**found(), **TRUNKS}
generators = pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS.keys())
trunks = pytest.mark.parametrize("make", TRUNKS.values(), ids=TRUNKS.keys())
without_batch_norm = pytest.mark.parametrize(
    "make", [make for name, make in TRUNKS.items() if name != "dcgan"], ids=[name for name in TRUNKS if name != "dcgan"]
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("side", [16, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3, 4])
@generators
def test_generators_draw_images_of_any_size_in_range(make, channels, side):
    images = make((channels, side, side))(3 * torch.randn(2, CODE))
    assert images.shape == (2, channels, side, side)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("side", [16, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3, 4])
@trunks
def test_trunks_give_features_of_the_shape_they_announce(make, channels, side):
    trunk = make((channels, side, side))
    features = trunk(torch.randn(2, channels, side, side))
    assert features.shape == (2, *trunk.feature_shape)
    assert trunk.feature_shape[1:] in ((4, 4), (1, 1))


@generators
def test_every_part_of_a_generator_and_its_code_get_gradients(make):
    generator, code = make((3, 32, 32)), torch.randn(8, CODE, requires_grad=True)
    (generator(code) * torch.randn(8, 3, 32, 32)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in [code, *generator.parameters()])


@trunks
def test_every_part_of_a_trunk_and_every_pixel_get_gradients(make):
    """Every pixel: nothing between the image and the features is cropped or skipped."""
    trunk, images = make((3, 32, 32)), torch.randn(8, 3, 32, 32, requires_grad=True)
    features = trunk(images)
    (features * torch.randn_like(features)).sum().backward()
    assert (images.grad.abs().sum(dim=0) > 0).all()
    assert all(parameter.grad.abs().sum() > 0 for parameter in trunk.parameters())


@trunks
def test_gradient_penalties_train_every_trunk(make):
    """A penalty's own gradient (the second derivative) exists, is finite and reaches the first layer."""
    trunk, images = make((1, 16, 16)), torch.randn(4, 1, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(trunk(images).square().sum(), images, create_graph=True)
    gradient.square().sum().backward()
    weights = [parameter for parameter in trunk.parameters() if parameter.dim() > 1]
    assert all(torch.isfinite(weight.grad).all() and weight.grad.abs().sum() > 0 for weight in weights)


@without_batch_norm
def test_a_trunk_without_batch_norm_judges_each_image_alone(make):
    trunk, images = make((3, 16, 16)).eval(), torch.randn(4, 3, 16, 16)
    alone = torch.cat([trunk(image[None]) for image in images])
    torch.testing.assert_close(trunk(images), alone, rtol=1e-4, atol=1e-5)


@generators
def test_a_generator_in_evaluation_mode_is_a_function_of_the_code(make):
    generator, code = make((3, 16, 16)), torch.randn(4, CODE)
    generator(code)
    generator.eval()
    assert torch.equal(generator(code), generator(code))
    torch.testing.assert_close(generator(code)[2:3], generator(code[2:3]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "takes"),
    [*((make, (CODE,)) for make in GENERATORS.values()), *((make, (3, 16, 16)) for make in TRUNKS.values())],
    ids=[*(f"{name}-generator" for name in GENERATORS), *(f"{name}-trunk" for name in TRUNKS)],
)
def test_a_deep_copy_gives_the_same_and_shares_nothing(make, takes):
    network, x = make((3, 16, 16)).eval(), torch.randn(2, *takes)
    copied, before = copy.deepcopy(network), network(x)
    assert torch.equal(copied(x), before)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.add_(1)
    assert torch.equal(network(x), before)


@pytest.mark.parametrize("shape", [(3, 48, 48), (3, 8, 8), (3, 512, 512), (3, 64, 32), (0, 32, 32), (2,)])
@pytest.mark.parametrize(
    "make",
    [*(GENERATORS[name] for name in SQUARE[0]), *(TRUNKS[name] for name in SQUARE[1])],
    ids=[*SQUARE[0], *SQUARE[1]],
)
def test_a_size_that_no_network_takes_is_refused_in_one_line(make, shape):
    with pytest.raises(UserError, match=r"^`shape` must be .*, got \(.*\): ") as refused:
        make(shape)
    assert "\n" not in str(refused.value)


ODD_SHAPES = pytest.mark.parametrize("shape", [(3, 64, 96), (2, 64, 32), (1, 48, 48)])


@ODD_SHAPES
@pytest.mark.parametrize("make", [make for name, make in GENERATORS.items() if name.startswith(ANY_ASPECT)])
def test_generators_that_take_any_aspect(make, shape):
    assert make(shape)(torch.randn(2, CODE)).shape == (2, *shape)


@ODD_SHAPES
@pytest.mark.parametrize(
    "make", [make for name, make in TRUNKS.items() if name.startswith(ANY_ASPECT) and name != "r3gan-attention"]
)
def test_trunks_that_take_any_aspect(make, shape):
    """Their heads do, too."""
    trunk = make(shape)
    features = trunk(torch.randn(2, *shape))
    assert features.shape == (2, *trunk.feature_shape)
    assert RealismLogit(trunk.feature_shape)(features).shape == (2,)
    assert PairLogit(trunk.feature_shape, 5)(features, torch.randn(2, 5)).shape == (2,)


@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 2048, 2048), (3, 64, 65), (3, 72, 72), (0, 32, 32), (2,)])
@pytest.mark.parametrize("name", ANY_ASPECT)
def test_sides_that_no_strides_divide_are_refused_in_one_line(name, shape):
    for make in (GENERATORS[name], TRUNKS[name]):
        with pytest.raises(UserError, match=r"^`shape` must .*, got \(.*\): ") as refused:
            make(shape)
        assert "\n" not in str(refused.value)


def test_the_refusal_names_the_next_size_that_fits():
    with pytest.raises(UserError, match=r"got \(3, 48, 48\): pass data.size=64$"):
        dcgan.Trunk((3, 48, 48))


def test_networks_import_neither_lightning_nor_hydra():
    names = [
        "blocks",
        "conditioning",
        "text",
        "sentences",
        "mlp",
        "dcgan",
        "resnet",
        "stylegan2",
        "r3gan",
        "attention",
        "fastgan",
        "heads",
        "logits",
        "packing",
        "minibatch",
    ]
    lines = [f"import ganlab.networks.{name}" for name in names]
    foreign = "{'pytorch_lightning', 'lightning', 'hydra', 'omegaconf', 'sentence_transformers'}"
    check = f"import sys; assert not {foreign} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", "\n".join([*lines, check])], check=True)
