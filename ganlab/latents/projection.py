"""The latent whose picture is nearest to a given picture: the best of random ones, then gradient descent from several.

The distance is the mean squared difference of pixels in [-1, 1] plus the perceptual distance (metrics/perceptual.py).
For networks with styles, a shift of each layer's style is found too (Abdal et al. 2019, "Image2StyleGAN").
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Condition, take, to_float, to_uint8
from ganlab.data.progress import progress
from ganlab.errors import UserError
from ganlab.files.durable import atomic_write
from ganlab.latents.directions import codes
from ganlab.latents.frames import strip
from ganlab.latents.points import Point, check_code, has_styles, image, styles
from ganlab.loggers.sheet import picture, png
from ganlab.metrics.perceptual import embedding_with_grad, perceptual_network
from ganlab.networks.encoder import EncoderDecoder
from ganlab.sampling.drawing import latents
from ganlab.sampling.writing import encoded, native

BATCH = 25  # random pictures compared at a time
THIRDS = 3  # a third of the points goes on after each third of the steps
SPREAD = 64  # codes whose deviation is the scale of a style's steps


@dataclass(frozen=True)
class Search:
    """tries: random latents. starts: the best of them, from which descent starts. steps: of Adam. rate: at the start.

    seed: try i has the latent of seed + i. perceptual: the weight of the perceptual distance; that of pixels is 1.
    """

    tries: int = 200
    starts: int = 6
    steps: int = 300
    rate: float = 0.1
    seed: int = 0
    perceptual: float = 1.0


@dataclass(frozen=True)
class State:
    """The best point so far, after `step` of `steps` steps: its picture uint8 (C, H, W) and its distances.

    pixels: mean squared difference in [-1, 1], 0 to 4. perceptual: 0 to 4. distance: their weighted sum.
    """

    step: int
    steps: int
    point: Point
    picture: Tensor
    pixels: float
    perceptual: float
    distance: float


@dataclass(frozen=True)
class Goal:
    """The picture to be found: float (1, C, H, W) in [-1, 1], its embedding (1, D), the weight of the latter."""

    image: Tensor
    embedding: Tensor
    weight: float

    @classmethod
    def of(cls, picture: Tensor, weight: float, device: torch.device) -> Goal:
        """Return the goal of a picture uint8 (C, H, W)."""
        wanted = to_float(picture[None].to(device))
        with torch.no_grad():
            return cls(wanted, embedding_with_grad(perceptual_network().to(device), wanted), weight)

    def parts(self, images: Tensor) -> Tensor:
        """Return (N, 2): the distances of pixels and the perceptual ones, with gradients if they are enabled."""
        pixels = (images - self.image).square().flatten(1).mean(1)
        embedded = embedding_with_grad(perceptual_network(), images)
        return torch.stack([pixels, (embedded - self.embedding).square().sum(1)], 1)

    def total(self, parts: Tensor) -> Tensor:
        """Return the distances (N,) of their parts (N, 2)."""
        return parts[:, 0] + self.weight * parts[:, 1]


def project(
    module: GenerativeModule, picture: Tensor, condition: Condition = None, search: Search | None = None
) -> Iterator[State]:
    """Yield the best point after the random tries and after each step. The last state is the answer.

    picture: uint8 (C, H, W) of the model's shape. condition: rows as the data have them. With several, the tries take
    turns, and the best one decides. Raise `UserError` if the model has no code.
    """
    check_code(module)
    search = search or Search()
    goal = Goal.of(picture, search.perceptual, module.device)
    descent = Descent(module, goal, tried(module, goal, condition, search))
    best: State | None = None
    for step in range(search.steps + 1):
        images, parts = descent.look()
        row = int(goal.total(parts).argmin())
        if best is None or float(goal.total(parts)[row]) < best.distance:
            best = _state(goal, take_points(descent.point, [row]), images[row], parts[row : row + 1], search.steps)
        yield replace(best, step=step)
        if step in halts(search.steps):
            descent.keep(goal.total(parts).argsort()[: -(-len(parts) // THIRDS)].tolist())
        elif step < search.steps:
            descent.move(search.rate * (1 + math.cos(math.pi * step / search.steps)) / 2)


def halts(steps: int) -> set[int]:
    """Return the steps after which the worse points are left: at a third and at two thirds of the way.

    >>> sorted(halts(300)), sorted(halts(2))
    ([100, 200], [])
    """
    return {steps * part // THIRDS for part in range(1, THIRDS)} if steps >= THIRDS else set()


def _state(goal: Goal, point: Point, image: Tensor, parts: Tensor, steps: int) -> State:
    pixels, perceptual = parts[0].tolist()
    picture = to_uint8(image.detach()[None])[0].cpu()
    offset = None if point.offset is None else point.offset.detach().clone()
    point = replace(point, latent=point.latent.detach().clone(), offset=offset)
    return State(0, steps, point, picture, pixels, perceptual, float(goal.total(parts)))


@torch.no_grad()
def tried(module: GenerativeModule, goal: Goal, condition: Condition, search: Search) -> Point:
    """Return the `starts` best of random points, best first. An autoencoder's own code of the picture is one more."""
    drawn = latents(module, range(search.seed, search.seed + search.tries))
    if isinstance(module.average, EncoderDecoder):
        drawn = torch.cat([module.average.code(goal.image), drawn])
    rows = [0 if condition is None else number % len(condition) for number in range(len(drawn))]
    every = Point(drawn, take(condition, rows))
    parts = [list(range(len(drawn)))[start : start + BATCH] for start in range(0, len(drawn), BATCH)]
    counted = progress(parts, len(parts), "comparing random pictures, by batches:")
    scores = torch.cat([goal.total(goal.parts(image(module, take_points(every, part)))) for part in counted])
    return take_points(every, scores.argsort()[: search.starts].tolist())


def take_points(point: Point, rows: list[int]) -> Point:
    """Return some of N points."""
    offset = None if point.offset is None else point.offset[rows]
    return replace(point, latent=point.latent[rows], condition=take(point.condition, rows), offset=offset)


class Descent:
    """Gradient descent by Adam on the latents of N points and, in a network with styles, on shifts of their styles.

    A latent that is longer than those of training costs extra, because the generator has never seen it.
    """

    def __init__(self, module: GenerativeModule, goal: Goal, start: Point) -> None:
        self.module, self.goal = module, goal
        self.rates = {"latent": 1.0}
        if has_styles(module):
            start = replace(start, offset=torch.zeros_like(styles(module, start)))
            self.rates["offset"] = float(codes(module, range(SPREAD), take(start.condition, [0])).std(0).mean())
        self.longest = 1 + 4 * math.sqrt(2 / max(1, module.latent_dim))  # mean square: four deviations above 1
        self.point = start
        self.keep(list(range(len(start.latent))))

    def keep(self, rows: list[int]) -> None:
        """Go on with some of the points, and with a new optimizer."""
        kept = take_points(self.point, rows)
        leaves = {name: getattr(kept, name).detach().clone().requires_grad_(True) for name in self.rates}
        self.point = replace(kept, **leaves)
        self.adam = torch.optim.Adam([{"params": [leaf]} for leaf in leaves.values()], betas=(0.9, 0.99))

    @torch.enable_grad()
    def look(self) -> tuple[Tensor, Tensor]:
        """Return the images of the points, and the parts of their distances (N, 2)."""
        images = image(self.module, self.point)
        parts = self.goal.parts(images)
        excess = (self.point.latent.square().mean(1) - self.longest).relu()
        self.loss = (self.goal.total(parts) + excess).sum()
        return images.detach(), parts.detach()

    def move(self, rate: float) -> None:
        """Take one step from where `look` looked."""
        leaves = [getattr(self.point, name) for name in self.rates]
        gradients = torch.autograd.grad(self.loss, leaves, allow_unused=True)
        scales = self.rates.values()
        for group, leaf, gradient, scale in zip(self.adam.param_groups, leaves, gradients, scales, strict=True):
            leaf.grad, group["lr"] = gradient, rate * scale
        self.adam.step()


# Files ------------------------------------------------------------------------------------------------------------


def write_point(path: Path, point: Point) -> Path:
    """Write a point's latent, and the shift of its styles if it has one, as safetensors. Return the path."""
    tensors = {"latent": point.latent} | ({} if point.offset is None else {"offset": point.offset})
    return atomic_write(path, save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}))


def written(folder: Path, goal: Tensor, states: Sequence[State], facts: Mapping[str, Any]) -> Path:
    """Write the goal uint8 (C, H, W), the last state, the strip of the states and the distances. Return the folder."""
    *_, last = states
    atomic_write(folder / "goal.png", encoded(native(goal)))
    atomic_write(folder / "projected.png", encoded(native(last.picture)))
    atomic_write(folder / "approach.png", png(strip([picture(one) for one in (goal, *(s.picture for s in states))])))
    write_point(folder / "latent.safetensors", last.point)
    names = ("step", "distance", "pixels", "perceptual")
    approach = [{name: getattr(state, name) for name in names} for state in states]
    content = {**approach[-1], **facts, "approach": approach}
    atomic_write(folder / "distances.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return folder


def read_point(module: GenerativeModule, path: Path, condition: Condition = None) -> Point:
    """Return the point in a file of `write_point`. Raise `UserError` if it is none of this model."""
    try:
        tensors = load(path.read_bytes())
        latent, offset = tensors["latent"], tensors.get("offset")
    except OSError as error:
        raise UserError(f"`latent` {path} cannot be read: {error.strerror}") from error
    except (SafetensorError, KeyError) as error:
        raise UserError(f"`latent` {path} was not written by ganlab.project") from error
    shape = (1, module.latent_dim)
    if latent.shape != shape or (offset is not None) != has_styles(module):
        raise UserError(f"`latent` {path} is {tuple(latent.shape)}, not the {shape} of this model")
    offset = None if offset is None else offset.to(module.device)
    return Point(latent.to(module.device), condition, offset=offset)
