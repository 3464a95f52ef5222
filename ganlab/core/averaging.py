"""The generator that is shown and measured: an exponential moving average of the one that plays.

Plain torch. Only the generator is averaged, parameters and buffers alike, so that batch statistics fit the weights.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn

from ganlab.config.ranges import Fraction, NonNegative


@dataclass(frozen=True)
class MovingAverage:
    """How far back the average looks, in images seen, so that it does not depend on the batch size.

    beta = 0.5 ** (images / half_life), as in Karras et al. 2020 (StyleGAN2-ADA). Early on the half-life is at most
    `ramp` times the images seen so far, so that the first, random weights are soon forgotten. `half_life=0` copies.
    """

    half_life: NonNegative = 10_000
    ramp: Fraction = 0.05

    def start(self, network: nn.Module) -> nn.Module:
        """A copy of the network that never trains."""
        return copy.deepcopy(network).requires_grad_(False).eval()

    def beta(self, images: int, images_seen: int) -> float:
        """The weight of the old average after an iteration of `images`, `images_seen` of them in all."""
        half_life = min(self.half_life, self.ramp * images_seen)
        return 0.5 ** (images / half_life) if half_life > 0 else 0.0

    @torch.no_grad()
    def update(self, average: nn.Module, network: nn.Module, beta: float) -> None:
        """average <- beta average + (1 - beta) network, in place; integer buffers are copied.

        The average may be in a wider number format than the network.
        """
        pairs = list(zip(_tensors(average), _tensors(network), strict=True))
        floating = [(old, new) for old, new in pairs if old.is_floating_point()]
        if floating:
            olds = [old for old, _ in floating]
            torch._foreach_lerp_(olds, [new.to(old.dtype) for old, new in floating], 1 - beta)
        for old, new in pairs:
            if not old.is_floating_point():
                old.copy_(new)


def _tensors(network: nn.Module) -> list[torch.Tensor]:
    return [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
