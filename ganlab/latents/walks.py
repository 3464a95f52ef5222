"""Walks through a model's latents: between seeds and conditions, and around a seed. Each is a list of points.

The first and the last point of a walk are points that `ganlab.sample` draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Condition
from ganlab.errors import UserError
from ganlab.latents.points import Point, points

PARALLEL = 1e-6  # sine of the angle below which two latents have no arc between them


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Return the point at a `share` (0 to 1) of the arc between latents (1, D): Shoemake 1985.

    Interpolated latents keep the length that latents of a normal distribution have; on a straight line they would be
    shorter. Latents on one line through 0 are interpolated linearly. A share of 0 or 1 gives exactly one of the two.
    """
    if share in (0, 1):
        return (first, second)[int(share)]
    product = float((first * second).sum() / (first.norm() * second.norm()).clamp_min(1e-12))
    angle = math.acos(min(1.0, max(-1.0, product)))
    if math.sin(angle) < PARALLEL:
        return first.lerp(second, share)
    return (math.sin((1 - share) * angle) * first + math.sin(share * angle) * second) / math.sin(angle)


def between(
    module: GenerativeModule, seeds: Sequence[int], condition: Condition = None, frames: int = 30
) -> list[Point]:
    """Return a walk from stop to stop, with `frames` points from one stop to the next, both included.

    seeds, condition: one of each for each stop. A single one is that of all stops. Latents move along arcs, conditions
    along straight lines between their embeddings (between the pixels of input pictures).

    Raises:
        UserError: there are fewer than two stops, or the numbers of seeds and conditions differ.
    """
    stops = points(module, *paired(seeds, condition))
    if len(stops) < 2:
        raise UserError("a walk needs two stops: pass seeds=[0,1], or two captions, classes or inputs")
    walk = [_between(*leg, number / (frames - 1)) for leg in pairwise(stops) for number in range(frames - 1)]
    return [*walk, stops[-1]]


def paired(seeds: Sequence[int], condition: Condition) -> tuple[list[int], Condition]:
    """Return a seed for each condition. Raise `UserError` if there are neither equally many, nor one of either."""
    count = 1 if condition is None else len(condition)
    if count > 1 and len(seeds) > 1 and count != len(seeds):
        raise UserError(f"`seeds` must be one, or one for each of the {count} conditions, got {len(seeds)}")
    return [*seeds] * (count if len(seeds) == 1 else 1), condition


def _between(first: Point, second: Point, share: float) -> Point:
    latent = slerp(first.latent, second.latent, share)
    if share == 0 or _same(first.condition, second.condition):
        return Point(latent, first.condition)
    return Point(latent, first.condition, second.condition, share)


def _same(first: Condition, second: Condition) -> bool:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    return first == second


def around(
    module: GenerativeModule, seed: int, condition: Condition = None, frames: int = 60, radius: float = 0.3
) -> list[Point]:
    """Return a closed walk of `frames` points that starts and ends at a seed's point.

    It is a circle on the sphere of latents of the seed's length. Its direction depends on the seed. radius: of the
    circle, as a part of the sphere's, 0 to 1. Raise `UserError` if the latent has fewer than 3 numbers.
    """
    (start,) = points(module, [seed], condition)
    if module.latent_dim < 3:
        raise UserError(
            f"a walk around a seed needs a latent of 3 numbers or more, and this one has {module.latent_dim}"
        )
    axis, sideways, third = _orthonormal(module, seed)
    lean = math.sqrt(1 - radius**2)
    pole, out = lean * axis - radius * sideways, radius * axis + lean * sideways  # axis = lean pole + radius out
    turns = [2 * math.pi * number / (frames - 1) for number in range(1, frames - 1)]
    circle = [lean * pole + radius * (math.cos(turn) * out + math.sin(turn) * third) for turn in turns]
    return [start, *(Point(start.latent.norm() * place, start.condition) for place in circle), start]


def _orthonormal(module: GenerativeModule, seed: int) -> list[Tensor]:
    """Return three orthogonal unit vectors (1, latent_dim), the first in the direction of the seed's latent."""
    random = torch.Generator().manual_seed(seed)
    drawn = torch.cat([module.draw_latent(1, random) for _ in range(3)])
    columns, triangle = torch.linalg.qr(drawn.T.double())
    return [*(columns * triangle.diagonal().sign()).T[:, None].to(drawn)]  # signs: as the drawn ones point
