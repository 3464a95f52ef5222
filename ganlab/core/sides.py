"""The two players: the settings by which one learns. Plain torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ganlab.config.ranges import LayerDecay, NonNegativeInt, Positive, PositiveInt, Turns
from ganlab.constraints import Constraint, Unconstrained
from ganlab.regularizers import Regularizer


@dataclass(frozen=True)
class Side:
    """The training settings of one player.

    turns: updates per iteration. accumulate: the number of equal parts in which a turn's batch is passed, to save
    memory; the step is that of the whole batch. clip: the largest Euclidean norm of a step's gradient. scheduler: of
    the learning rate, stepped once per iteration. regularizers: penalties, by their names in logs. penalty_precision:
    of their computation in a run of mixed precision, "same" as the run's or "float32". message_precision: of the
    gradients that several processes exchange, "same" as the gradients' or "bfloat16". share_images: whether a
    generator with one turn learns from the images that the discriminator saw. That saves a forward pass, and keeps the
    generator's graph in memory during the discriminator's turn. checkpoint_blocks: whether results inside blocks of
    layers are computed again in the backward pass, to save memory (activation checkpointing). constraint: the set of
    allowed weights. freeze: the number of blocks of layers nearest to the input that do not learn (a block has the maps
    of one size), or "trunk": the whole network, so that only head and condition encoder learn. layer_decay: the factor
    of the rate from each block to the one before it, on the way from the output to the input; 1 for one rate.
    """

    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    scheduler: Callable[[Optimizer], LRScheduler] | None = None
    turns: Turns = 1
    accumulate: PositiveInt = 1
    clip: Positive | None = None
    regularizers: Mapping[str, Regularizer] = field(default_factory=dict)
    penalty_precision: Literal["same", "float32"] = "same"
    message_precision: Literal["same", "bfloat16"] = "same"
    share_images: bool = True
    checkpoint_blocks: bool = False
    constraint: Constraint = field(default_factory=Unconstrained)
    freeze: NonNegativeInt | Literal["trunk"] = 0
    layer_decay: LayerDecay = 1.0


def stateful_regularizers(sides: Mapping[str, Side]) -> nn.ModuleDict:
    """Return the regularizers that have a state, by side and name. Checkpoints contain them."""
    every = ((f"{name}_{key}", one) for name, side in sides.items() for key, one in side.regularizers.items())
    return nn.ModuleDict({key: one for key, one in every if isinstance(one, nn.Module)})


@torch.no_grad()
def gradient_norm(gradients: list[Tensor]) -> Tensor:
    """Return the Euclidean norm of all gradients together."""
    return torch.stack(torch._foreach_norm(gradients)).norm()


@torch.no_grad()
def clip_gradients(gradients: list[Tensor], norm: Tensor, limit: float) -> None:
    """Scale the gradients, in place, from their Euclidean norm to one of at most `limit`.

    If the norm is not finite, they stay unchanged. An infinite entry divided by an infinite norm is NaN, which would
    hide the infinity from a loss scale and from the alarm.
    """
    share = (limit / (norm + 1e-6)).clamp(max=1)  # as `torch.nn.utils.clip_grad_norm_` has it
    torch._foreach_mul_(gradients, torch.where(norm.isfinite(), share, 1))
