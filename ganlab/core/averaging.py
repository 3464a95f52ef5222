"""The moving average of the generator, which is shown, measured and sampled. Plain torch.

Only the generator is averaged. Parameters and buffers are averaged alike, so batch statistics fit the weights.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlab.config.ranges import Fraction, NonNegative


@dataclass(frozen=True)
class MovingAverage:
    """An exponential moving average with a half-life in images seen, which does not depend on the batch size.

    beta = 0.5 ** (images / half_life), as in Karras et al. 2020 (StyleGAN2-ADA). The half-life is at most `ramp` times
    the images seen so far, so the weight of the random initial weights falls quickly. `half_life=0` copies the network.
    """

    half_life: NonNegative = 10_000
    ramp: Fraction = 0.05

    def start(self, network: nn.Module) -> nn.Module:
        """Return a copy of the network that is never trained."""
        return copy.deepcopy(network).requires_grad_(False).eval()

    def beta(self, images: int, images_seen: int) -> float:
        """Return the weight of the old average after an iteration of `images`, with `images_seen` in total."""
        half_life = min(self.half_life, self.ramp * images_seen)
        return 0.5 ** (images / half_life) if half_life > 0 else 0.0

    @torch.no_grad()
    def update(self, average: Sequence[Tensor], network: Sequence[Tensor], beta: float) -> None:
        """Set average <- beta average + (1 - beta) network, in place, for tensors in the same order. Copy integers.

        The average may have a wider number format than the network.
        """
        pairs = list(zip(average, network, strict=True))
        floating = [(old, new) for old, new in pairs if old.is_floating_point()]
        if floating:
            olds = [old for old, _ in floating]
            torch._foreach_lerp_(olds, [new.to(old.dtype) for old, new in floating], 1 - beta)
        for old, new in pairs:
            if not old.is_floating_point():
                old.copy_(new)
