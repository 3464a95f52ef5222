"""Directions in a model's latents or styles: in closed form, and between two sets of samples.

Styles are used if the network has them, else the latent itself. A strength of 1 is one standard deviation of the
model's own codes along the direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Condition
from ganlab.errors import UserError
from ganlab.latents.points import Point, check_code, check_styles, has_styles, image, styles, together
from ganlab.networks.styles import style_layers

SPREAD = 256  # codes whose deviation along a direction is one unit of strength
LAYERS = (nn.Linear, nn.modules.conv._ConvNd)


@dataclass(frozen=True)
class Direction:
    """A direction: `step` (dim,) is one standard deviation along it. in_styles: of styles, else of the latent.

    share: the part of the squared change of the first layers' outputs that this direction has, 0 to 1; None if it is
    unknown. `step` is the same for all conditions.
    """

    name: str
    step: Tensor
    in_styles: bool
    share: float | None = None

    def moved(self, point: Point, strength: float, mask: Tensor | None = None) -> Point:
        """Return a point, `strength` standard deviations along the direction. mask: see `layer_mask`."""
        if strength == 0:
            return point
        if not self.in_styles:
            return replace(point, latent=point.latent + strength * self.step)
        return shifted(point, strength * self.step[None, None] * (1 if mask is None else mask))


def along(point: Point, direction: Direction, strengths: Sequence[float], mask: Tensor | None = None) -> list[Point]:
    """Return a point at each strength along a direction. mask: see `layer_mask`; None for all layers."""
    return [direction.moved(point, strength, mask) for strength in strengths]


def shifted(point: Point, offset: Tensor) -> Point:
    """Return a point with its styles shifted by `offset`, beside any shift that it has."""
    return replace(point, offset=offset if point.offset is None else point.offset + offset)


def layer_mask(module: GenerativeModule, layers: Sequence[int]) -> Tensor:
    """Return (1, layers, 1): 1 for these layers of styles, 0 being the coarsest, and 0 for all others.

    Raise `UserError` for a network without styles, or a layer that it does not have.
    """
    check_styles(module)
    count = style_layers(module.average)[0].layers
    if wrong := [layer for layer in layers if not 0 <= layer < count]:
        raise UserError(f"`layers` must be from 0 (coarsest) to {count - 1} (finest), got {wrong[0]}")
    return torch.zeros(1, count, 1).index_fill(1, torch.tensor(layers, dtype=torch.long), 1.0).to(module.device)


# Closed form ------------------------------------------------------------------------------------------------------


def sefa(module: GenerativeModule, condition: Condition = None, count: int = 5) -> list[Direction]:
    """Return the `count` directions that change the first layers most: Shen and Zhou 2021 (SeFa), eq. 5.

    They are the eigenvectors of A^T A with the largest eigenvalues. A has the weights of all layers that act on the
    code: of a network with styles, those of every modulation; of another, those that act on the latent directly. The
    latent's other parts, as the noise of a caption's vector, stay as they are. condition: one row, with which the
    layers are found.

    Raises:
        UserError: the model has no code, or no layer acts on it.
    """
    check_code(module)
    matrix = acting_weights(module, condition).double()
    values, vectors = torch.linalg.eigh(matrix.T @ matrix)
    order = values.argsort(descending=True)[:count]
    shares, units = (values / values.sum())[order], [_signed(vectors[:, row]).float() for row in order]
    deviations = _deviations(module, torch.stack(units), condition)
    rows = enumerate(zip(deviations, units, shares, strict=True))
    in_styles = has_styles(module)
    return [Direction(f"sefa-{i}", size * unit, in_styles, float(share)) for i, (size, unit, share) in rows]


def _signed(vector: Tensor) -> Tensor:
    """Return the vector or its opposite, so that its largest number is positive. An eigenvector has no sign."""
    return vector * vector[vector.abs().argmax()].sign()


@torch.no_grad()
def acting_weights(module: GenerativeModule, condition: Condition = None) -> Tensor:
    """Return (outputs, dim): the weights of all layers that act on the style, or else directly on the latent.

    They are found in one pass with hooks. A layer acts on the latent if its input starts with the latent's numbers. A
    layer's weights are its values on the unit vectors less that on zero, so any affine layer will do.
    """
    two = together(module, [0, 1], condition)
    code = styles(module, two)[:, 0] if has_styles(module) else two.latent
    inputs: dict[nn.Module, Tensor] = {}

    def note(part: nn.Module, given: tuple[Tensor, ...]) -> None:
        inputs.setdefault(part, given[0])

    with ExitStack() as hooks:
        for part in module.average.modules():
            if isinstance(part, LAYERS):
                hooks.enter_context(part.register_forward_pre_hook(note))
        image(module, two)
    shared = {part: common(given, code) for part, given in inputs.items()}
    dim = max(shared.values(), default=0)
    if not dim:
        raise UserError("no layer of this network acts on the latent directly: use by=means")
    blocks = [affine(part, given[:1])[:, :dim] for part, given in inputs.items() if shared[part] == dim]
    weights = torch.cat(blocks)
    return torch.cat([weights, weights.new_zeros(len(weights), code.shape[1] - dim)], 1)


def common(given: Tensor, code: Tensor) -> int:
    """Return how many leading numbers of a layer's input (N, ...) equal those of N codes."""
    if len(given) != len(code) or any(side != 1 for side in given.shape[2:]):
        return 0
    flat = given.flatten(1)
    width = min(flat.shape[1], code.shape[1])
    equal = (flat[:, :width] == code[:, :width]).all(0)
    return width if bool(equal.all()) else int(equal.int().argmin())


def affine(layer: nn.Module, given: Tensor) -> Tensor:
    """Return the matrix (outputs, inputs) of an affine layer. given: one of its inputs, for the shape."""
    unit = torch.eye(given[0].numel()).to(given).reshape(-1, *given.shape[1:])
    return (layer.forward(unit) - layer.forward(torch.zeros_like(given))).flatten(1).T


# Two sets of samples ----------------------------------------------------------------------------------------------


def difference(
    module: GenerativeModule, more: Sequence[int], less: Sequence[int], condition: Condition = None
) -> Direction:
    """Return the direction from the mean code of the seeds `less` to that of the seeds `more`.

    condition: one row, with which all seeds are drawn. Raise `UserError` if a set is empty or the means are equal.
    """
    check_code(module)
    if not more or not less:
        raise UserError("`more` and `less` are needed: seeds of pictures with more and with less of what should change")
    means = [codes(module, seeds, condition).mean(0) for seeds in (more, less)]
    vector = means[0] - means[1]
    if not float(vector.norm()):
        raise UserError("`more` and `less` have the same mean: name other seeds")
    vector = vector / vector.norm()
    return Direction("means", _deviations(module, vector[None], condition)[0] * vector, has_styles(module))


def codes(module: GenerativeModule, seeds: Sequence[int], condition: Condition = None) -> Tensor:
    """Return the styles, or else the latents, of seeds with one condition: (N, dim)."""
    point = together(module, seeds, condition)
    return styles(module, point)[:, 0] if has_styles(module) else point.latent


def _deviations(module: GenerativeModule, units: Tensor, condition: Condition) -> Tensor:
    """Return the deviations (K,) of the model's codes along unit vectors (K, dim). They are 1 for a latent."""
    if not has_styles(module):
        return units.new_ones(len(units))
    return (codes(module, range(SPREAD), condition) @ units.T).std(0)


# Style mixing -----------------------------------------------------------------------------------------------------


def mixed(module: GenerativeModule, base: Point, other: Point, layers: Sequence[int], truncation: float = 1.0) -> Point:
    """Return `base` with the styles of `other` in these layers, 0 being the coarsest: Karras et al. 2019, section 3.1.

    Raise `UserError` for a network without styles, or a layer that it does not have.
    """
    own, taken = (styles(module, point, truncation) for point in (base, other))
    return shifted(base, layer_mask(module, layers) * (taken - own))
