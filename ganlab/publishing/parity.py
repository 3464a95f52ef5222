"""The difference between two ways to draw the same pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError
from ganlab.publishing.painter import Inputs, examples

BATCHES = (1, 7)
"""The batch sizes of a comparison: a batch of one, and one that no power of two divides."""


def parity(module: GenerativeModule, draw: Callable[[Inputs], Tensor]) -> dict[str, Any]:
    """Return how far other pictures are from the checkpoint's own, for each batch size: the largest difference.

    Pictures are in [-1, 1], so one of 256 levels is 0.0078. draw: the other way, (N, *shape). Raise `UserError` if its
    shape differs, or if its values are not finite.
    """
    return {f"largest_difference_of_{count}": _largest(module, draw, count) for count in BATCHES}


@torch.no_grad()
def _largest(module: GenerativeModule, draw: Callable[[Inputs], Tensor], count: int) -> float:
    inputs = examples(module, count)
    own, other = module.sample(inputs.latent, inputs.condition), draw(inputs)
    if other.shape != own.shape or not torch.isfinite(other).all():
        raise UserError(f"`to`: the exported pictures are {tuple(other.shape)}, or not finite; own {tuple(own.shape)}")
    return float((own - other).abs().max())
