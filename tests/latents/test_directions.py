"""Directions: eigenvectors of the first weights, differences of means, mixed styles. Closed forms where there are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.edit import EditSettings, edit
from ganlab.errors import UserError
from ganlab.latents.directions import codes, difference, layer_mask, mixed, sefa
from ganlab.latents.points import pictures, points, styles
from ganlab.networks.modulation import ModulatedConv2d
from ganlab.sampling.drawing import latents
from tests.latents.conftest import random_module

STYLED = ("recipe=vanilla", "network=stylegan2")


def first_weights(name: str) -> torch.Tensor:
    """(outputs, latent_dim): the weights on the code of each network, written down by hand."""
    network = random_module("recipe=vanilla", f"network={name}", "regularizer=[]").average
    if name == "mlp":
        return network.hidden[0].weight
    if name == "dcgan":
        return network.layers[1].weight.flatten(1).T
    if name == "r3gan":
        return network.layers[0].linear.weight
    if name == "fastgan":
        return network.start[1].weight.flatten(1).T
    norms = [norm.modulate.weight for block in network.blocks for norm in (block.norm1, block.norm2)]
    return torch.cat([network.start[0].weight, *norms, network.norm.modulate.weight])


@pytest.mark.parametrize("name", ["mlp", "dcgan", "r3gan", "fastgan", "resnet"])
def test_directions_are_the_right_singular_vectors_of_the_first_weights(name: str) -> None:
    """A^T A has the squared singular values of A, and their shares sum to 1 over all directions."""
    module = random_module("recipe=vanilla", f"network={name}", "regularizer=[]")
    found = sefa(module, count=module.latent_dim)
    _, values, vectors = torch.linalg.svd(first_weights(name).detach().double(), full_matrices=False)
    for row in range(2):
        agreement = float(found[row].step.double() @ vectors[row])
        assert abs(agreement) == pytest.approx(1, abs=1e-4)
        assert found[row].share == pytest.approx(float(values[row] ** 2 / values.square().sum()), rel=1e-4)
    assert sum(one.share or 0 for one in found) == pytest.approx(1)
    assert not found[0].in_styles


def test_styles_have_the_directions_of_all_modulations() -> None:
    """The step is the unit vector times the deviation of the model's styles along it."""
    module = random_module(*STYLED)
    layers = [part.affine for part in module.average.modules() if isinstance(part, ModulatedConv2d)]
    weights = torch.cat([layer.weight.detach() * layer.scale for layer in layers])
    _, _, vectors = torch.linalg.svd(weights.double(), full_matrices=False)
    first, *_ = sefa(module)
    assert first.in_styles
    unit = first.step / first.step.norm()
    assert abs(float(unit.double() @ vectors[0])) == pytest.approx(1, abs=1e-4)
    assert float((codes(module, range(256)) @ unit).std()) == pytest.approx(float(first.step.norm()), rel=1e-4)


@pytest.mark.parametrize("words", [("recipe=vanilla",), STYLED, ("recipe=infogan",), ("recipe=stackgan",)], ids=str)
def test_a_strength_of_zero_is_the_picture_itself(words: tuple[str, ...]) -> None:
    module = random_module(*words)
    condition = ["a red apple"] if module.spec.kind == "text" else None
    (start,) = points(module, [3], condition)
    direction, *_ = sefa(module, condition)
    plain, same, moved = pictures(module, [start, direction.moved(start, 0.0), direction.moved(start, 3.0)])
    assert torch.equal(plain, same)
    assert not torch.equal(plain, moved)


def test_only_the_noise_of_a_code_is_moved() -> None:
    """InfoGAN's categories and StackGAN's condition noise do not act on the network as they are in the latent."""
    infogan = random_module("recipe=infogan")
    assert not sefa(infogan)[0].step[62:].any() and sefa(infogan)[0].step[:62].any()
    stackgan = random_module("recipe=stackgan")
    assert not sefa(stackgan, ["a red apple"])[0].step[stackgan.generator.parts[0] :].any()


def test_the_difference_of_two_sets_of_latents() -> None:
    module = random_module("recipe=vanilla")
    found = difference(module, more=[1, 2, 3], less=[4, 5])
    wanted = latents(module, [1, 2, 3]).mean(0) - latents(module, [4, 5]).mean(0)
    assert torch.allclose(found.step, wanted / wanted.norm())
    for bad in ({"more": [], "less": [1]}, {"more": [1], "less": [1]}):
        with pytest.raises(UserError, match="`more` and `less`"):
            difference(module, **bad)


def test_mixed_styles_are_the_others_in_the_named_layers() -> None:
    """All layers give the other picture, because the noise of new layers has strength 0; none gives the own one."""
    module = random_module(*STYLED)
    base, other = points(module, [1, 2])
    every = range(styles(module, base).shape[1])
    own, theirs, none, all_, some = pictures(
        module, [base, other, *(mixed(module, base, other, layers) for layers in ([], list(every), [0, 1]))]
    )
    assert torch.equal(own, none)
    assert (all_.int() - theirs.int()).abs().max() <= 1
    assert not torch.equal(some, own) and not torch.equal(some, theirs)
    with pytest.raises(UserError, match=r"`layers` must be from 0 \(coarsest\) to \d+ \(finest\), got 99"):
        layer_mask(module, [99])


def test_truncated_styles_are_mixed_as_they_are() -> None:
    module = random_module(*STYLED)
    base, other = points(module, [1, 2])
    mix = mixed(module, base, other, list(range(styles(module, base).shape[1])), truncation=0.5)
    assert torch.allclose(styles(module, mix, 0.5), styles(module, other, 0.5), atol=1e-5)


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


def test_the_command_writes_a_sheet_a_direction(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"checkpoint": str(run), "seeds": [1, 2], "strengths": [-2.0, 0.0, 2.0], "out": str(tmp_path)}
    edit(EditSettings(**settings, count=2))
    edit(EditSettings(**settings, by="means", more=[5, 6], less=[7]))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["means.png", "sefa-0.png", "sefa-1.png"]
    first, second = pixels(tmp_path / "sefa-0.png"), pixels(tmp_path / "sefa-1.png")
    step = 96 + 6
    assert first.shape[1] == 3 * step + 6
    middle, left = slice(6 + step, 6 + step + 96), slice(6, 6 + 96)
    assert np.array_equal(first[6:102, middle], second[6:102, middle])  # strength 0: the seed's own picture
    assert not np.array_equal(first[6:102, left], second[6:102, left])
    assert "sefa-0, a direction of latents" in capsys.readouterr().out


def test_a_network_without_styles_says_so(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="styles are those of network=stylegan2"):
        edit(EditSettings(checkpoint=str(run), by="mix", out=str(tmp_path)))


def test_the_deviation_of_styles_is_their_own() -> None:
    """A strength of 1 is a step of about the size of the difference of styles, not of 1."""
    module = random_module(*STYLED)
    found = difference(module, more=[1], less=[2])
    gap = codes(module, [1])[0] - codes(module, [2])[0]
    assert math.cos(0.001) < float(found.step @ gap / (found.step.norm() * gap.norm())) <= 1.00001
    assert found.step.norm() < gap.norm()
