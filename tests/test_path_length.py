"""The path-length penalty against Jacobians written out, and in a game."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from ganlab.core.sides import Side
from ganlab.data.batch import Batch, Fake
from ganlab.errors import UserError
from ganlab.networks import stylegan2
from ganlab.networks.architecture import Architecture
from ganlab.regularizers import PathLength
from ganlab.variants import VanillaGAN

SMALL = {"width": 2, "limit": 2, "style_dim": 6, "depth": 2}


def critic(images: Tensor, condition: object) -> Tensor:
    return images.flatten(1).sum(1)


def test_against_the_jacobian() -> None:
    """||J^T y|| with J of each sample alone. The average starts at 0 and moves by `decay`."""
    torch.manual_seed(0)
    generator, code = stylegan2.Generator((1, 16, 16), 4, **SMALL).double(), torch.randn(3, 4, dtype=torch.float64)
    penalty = PathLength(weight=2.0, every=4, decay=0.1).double()
    penalty.start(generator)
    fake = generator(code)
    torch.manual_seed(1)
    given = penalty(critic, Batch(fake), Fake(fake, code))
    torch.manual_seed(1)
    y = torch.randn_like(fake) / 16
    styles = generator.styles(code).detach()
    lengths = []
    for sample in range(3):
        row = slice(sample, sample + 1)
        paint = lambda style, row=row: generator.paint(style, code[row]).tanh()  # noqa: E731
        jacobian = torch.autograd.functional.jacobian(paint, styles[row]).view(256, *styles.shape[1:])
        path = torch.tensordot(y[row].flatten(), jacobian, 1)
        lengths.append(path.square().sum(1).mean().sqrt())
    expected = torch.stack(lengths)
    torch.testing.assert_close(given, 8 * (expected - 0.1 * expected.mean()).square())
    torch.testing.assert_close(penalty.average, 0.1 * expected.mean())


def test_in_a_game_it_trains_the_generator_and_is_saved(
    vanilla: Callable[..., VanillaGAN], adam: Side, snapshot: Callable[..., dict[str, Tensor]]
) -> None:
    """The term is there when it is due, its gradient reaches the mapping, and its average belongs to the state."""
    network = Architecture(partial(stylegan2.Generator, **SMALL), partial(stylegan2.Trunk, width=2))
    side = replace(adam, regularizers={"path_length": PathLength(every=2)})
    module = vanilla(network=network, generator=side)
    batch = Batch(torch.rand(4, 1, 16, 16))
    term = module.penalties("generator", batch, module.generate(batch))["path_length"]
    assert term.shape == (4,) and (term > 0).all()
    term.mean().backward()
    weight = module.generator.styles.mapping.layers[0].weight
    assert weight.grad is not None and weight.grad.abs().sum() > 0
    assert snapshot(module)["remembering.generator_path_length.average"] > 0


def test_a_generator_without_styles_is_refused(vanilla: Callable[..., VanillaGAN], adam: Side) -> None:
    with pytest.raises(UserError, match="needs a generator with styles: pass network=stylegan2"):
        vanilla(generator=replace(adam, regularizers={"path_length": PathLength()}))


def test_an_average_that_never_moves_is_refused() -> None:
    with pytest.raises(ValueError, match="`decay` above 0"):
        PathLength(decay=0.0)
