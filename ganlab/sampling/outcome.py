"""What a method leaves behind: one latent a picture, and how hard it was to find. Plain torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LogRatio = Callable[[Tensor], Tensor]
"""Latents (N, L) -> (N,): log p_data(x) - log p_g(x) of the pictures x = G(z), in nats."""


@dataclass(frozen=True)
class Outcome:
    """`latents` (N, L), one a picture; of the `proposed` (N,) candidates of each, how many were `accepted` (N,)."""

    latents: Tensor
    accepted: Tensor
    proposed: Tensor

    @property
    def rate(self) -> float:
        """Return accepted of proposed, over all pictures: 0 to 1."""
        return float(self.accepted.sum() / self.proposed.sum())

    @property
    def stuck(self) -> int:
        """Return how many pictures no candidate was accepted for."""
        return int((self.accepted == 0).sum())

    @classmethod
    def joined(cls, parts: Sequence[Outcome]) -> Outcome:
        """Those of several pictures, one after the other."""
        columns = zip(*((part.latents, part.accepted, part.proposed) for part in parts), strict=True)
        return cls(*map(torch.cat, columns))
