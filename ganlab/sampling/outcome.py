"""The result of a method: one latent for each picture, and how many candidates it took. Plain torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LogRatio = Callable[[Tensor], Tensor]
"""A function from latents (N, L) to log p_data(x) - log p_g(x) of the pictures x = G(z), (N,), in nats."""


@dataclass(frozen=True)
class Outcome:
    """The chosen `latents` (N, L), and for each how many candidates were `proposed` and `accepted`, (N,) each."""

    latents: Tensor
    accepted: Tensor
    proposed: Tensor

    @property
    def rate(self) -> float:
        """Return the ratio of accepted to proposed candidates, over all pictures: 0 to 1."""
        return float(self.accepted.sum() / self.proposed.sum())

    @property
    def stuck(self) -> int:
        """Return the number of pictures without an accepted candidate."""
        return int((self.accepted == 0).sum())

    @classmethod
    def joined(cls, parts: Sequence[Outcome]) -> Outcome:
        """Return the outcomes of several pictures, concatenated."""
        columns = zip(*((part.latents, part.accepted, part.proposed) for part in parts), strict=True)
        return cls(*map(torch.cat, columns))
