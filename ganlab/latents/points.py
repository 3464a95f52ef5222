"""A point of a model's latent space, and the picture that the averaged generator draws from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Condition, take, to_uint8
from ganlab.errors import UserError
from ganlab.networks.conditional import blended
from ganlab.networks.styles import Styles, changed_styles, moved, style_layers
from ganlab.sampling.drawing import draws_masks, latents, on_device, synthesize


@dataclass(frozen=True)
class Point:
    """N points that are drawn together; usually one.

    latent: (N, latent_dim). condition: N rows as the data have them, or None. towards, share: a second condition, and
    how far the embedding is moved to it, 0 to 1. offset: a shift of the styles, (N or 1, layers or 1, style_dim), for
    networks with styles.
    """

    latent: Tensor
    condition: Condition = None
    towards: Condition = None
    share: float = 0.0
    offset: Tensor | None = None


def points(module: GenerativeModule, seeds: Sequence[int], condition: Condition = None) -> list[Point]:
    """Return the points that `ganlab.sample` draws for seeds, with a condition of as many rows, or of one for all."""
    rows = range(len(seeds)) if condition is None or len(condition) == len(seeds) else [0] * len(seeds)
    drawn = latents(module, seeds).split(1)
    return [Point(latent, take(condition, [row])) for latent, row in zip(drawn, rows, strict=True)]


def together(module: GenerativeModule, seeds: Sequence[int], condition: Condition = None) -> Point:
    """Return the points of seeds as one, all with the same condition of one row."""
    return Point(latents(module, seeds), take(condition, [0] * len(seeds)))


def image(module: GenerativeModule, point: Point, truncation: float = 1.0) -> Tensor:
    """Return a point's images (N, C, H, W) in [-1, 1], with gradients if they are enabled."""
    with ExitStack() as stack:
        if point.towards is not None:
            if draws_masks(module):
                point = Point(point.latent, _mixed(point))
            else:
                other = on_device(point.towards, module.device)
                stack.enter_context(blended(module.average, other, point.share))
        return synthesize(module, point.latent, point.condition, truncation, point.offset)


def _mixed(point: Point) -> Tensor:
    """Return the input pictures of a point between two inputs, in [-1, 1]."""
    first, second = (on_device(one, torch.device("cpu")) for one in (point.condition, point.towards))
    assert isinstance(first, Tensor) and isinstance(second, Tensor)
    return first.lerp(second, point.share)


@torch.no_grad()
def pictures(module: GenerativeModule, path: Iterable[Point], truncation: float = 1.0) -> Iterator[Tensor]:
    """Yield the picture of each point, uint8 (C, H, W) on the CPU.

    Points are drawn one by one, so a picture is exactly the one that `ganlab.sample count=1` draws.
    """
    for point in path:
        yield to_uint8(image(module, point, truncation))[0].cpu()


class _Seen(Exception):
    """Ends a pass of the generator once its styles are known."""

    def __init__(self, styles: Tensor) -> None:
        super().__init__()
        self.styles = styles


@torch.no_grad()
def styles(module: GenerativeModule, point: Point, truncation: float = 1.0) -> Tensor:
    """Return the styles (N, layers, style_dim) of N points. Raise `UserError` for a network without styles."""
    check_styles(module)
    change = moved(truncation, point.offset)

    def end(part: Styles, code: Tensor, made: Tensor) -> Tensor:
        raise _Seen(change(part, code, made))

    try:
        with changed_styles(module.average, end):
            image(module, point)
    except _Seen as seen:
        return seen.styles
    raise UserError("the network of this checkpoint does not use its styles")


def has_styles(module: GenerativeModule) -> bool:
    """Return whether the generator maps its code to styles."""
    return bool(style_layers(module.average))


def check_styles(module: GenerativeModule) -> None:
    """Raise `UserError` unless the generator has styles."""
    if not has_styles(module):
        raise UserError("styles are those of network=stylegan2, and the network of this checkpoint has none")


def check_pictures(module: GenerativeModule) -> None:
    """Raise `UserError` unless the model draws pictures."""
    if len(module.spec.shape) != 3:
        raise UserError("`checkpoint` draws points, not pictures: `ganlab.sample` shows them all at once")


def check_code(module: GenerativeModule) -> None:
    """Raise `UserError` unless the model draws pictures from a latent that has directions."""
    check_pictures(module)
    if draws_masks(module):
        raise UserError(
            "`checkpoint` turns a picture into another, so its latent is a dropout mask without directions: "
            "`ganlab.walk input=[a.png,b.png]` moves between inputs"
        )
