"""Captions with several meanings: the latent chooses one. Plain PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Choice(nn.Module):
    """The choice of a latent between the captions that a shared one may stand for.

    forward(weights (N, M + S), latent (N, latent_dim)) -> (N, M + S): the weights of the S shared captions go to one
    member of the shared caption with the largest weight, and theirs become 0. Every caption has a fixed random
    direction, and the member whose direction has the largest cosine with the latent is chosen. It is a softmax at a
    small temperature, so a path between two latents goes from one member to the next without a jump. At most the first
    `NUMBERS` numbers of a latent choose.

    captions: M. members: the places of each shared caption's members among them. There is nothing to train or to save.
    """

    NUMBERS = 64
    SHARPNESS = 100.0
    members: Tensor
    directions: Tensor

    def __init__(self, captions: int, members: Sequence[Sequence[int]]) -> None:
        super().__init__()
        among = torch.zeros(len(members), captions, dtype=torch.bool)
        for row, places in enumerate(members):
            among[row, list(places)] = True
        directions = torch.randn(captions, self.NUMBERS, generator=torch.Generator().manual_seed(0), device="cpu")
        self.register_buffer("members", among, persistent=False)
        self.register_buffer("directions", directions, persistent=False)

    def forward(self, weights: Tensor, latent: Tensor) -> Tensor:
        """Return the weights after the choice. Their sum stays."""
        own, shared = weights.split([self.members.shape[1], self.members.shape[0]], 1)
        numbers = min(latent.shape[1], self.NUMBERS)
        along = F.normalize(latent[:, :numbers], dim=1) @ F.normalize(self.directions[:, :numbers], dim=1).T
        along = (self.SHARPNESS * along).masked_fill(~self.members[shared.argmax(1)], -torch.inf)
        own = own + shared.sum(1, keepdim=True) * along.softmax(1)
        return torch.cat([own, torch.zeros_like(shared)], 1)
