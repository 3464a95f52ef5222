"""A generator of two stages, the second of which starts from the first's picture (Zhang et al. 2017). Plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganlab.data.batch import Condition
from ganlab.networks.conditioning import ConditionEncoder, ConditioningAugmentation
from ganlab.networks.stack import enlarge


class Listener(nn.Module):
    """What a stage makes of its condition: a draw from a normal distribution that depends on it (section 3.2)."""

    def __init__(self, encoder: ConditionEncoder, dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.augmentation = ConditioningAugmentation(encoder.dim, dim)

    def forward(self, condition: Condition, noise: Tensor) -> Tensor:
        """(N, dim), a function of condition and noise."""
        draw, _ = self.augmentation(self.encoder(condition), noise)
        return draw

    def divergence(self, condition: Condition) -> Tensor:
        """(N,): KL of the distribution from N(0, 1) in nats, the mean over its dimensions. No noise enters it."""
        embedding = self.encoder(condition)
        _, divergence = self.augmentation(embedding, embedding.new_zeros(len(embedding), self.augmentation.dim))
        return divergence


class Stage(nn.Module):
    """One stage's generator: what it listens with, and the network that draws."""

    def __init__(self, listener: Listener, network: nn.Module) -> None:
        super().__init__()
        self.listener = listener
        self.network = network


class StackedGenerator(nn.Module):
    """Both stages' generators. A latent is Stage I's z, with the noise of each stage's condition beside it.

    `finished` says whether Stage I is: it then works in evaluation mode and without gradients, whatever mode this is
    in. A buffer, so that checkpoints and averages have it.
    """

    finished: Tensor

    def __init__(self, stage_one: Stage, stage_two: Stage, parts: tuple[int, int, int]) -> None:
        super().__init__()
        self.stage_one = stage_one
        self.stage_two = stage_two
        self.parts = parts
        self.register_buffer("finished", torch.tensor(False))

    @property
    def playing(self) -> Stage:
        """The stage that plays."""
        return self.stage_two if self.finished else self.stage_one

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """Pictures at full size, whichever stage plays: Stage I's are enlarged."""
        drawn = self.play(latent, condition)
        return drawn if self.finished else enlarge(drawn)

    def play(self, latent: Tensor, condition: Condition) -> Tensor:
        """Pictures of the stage that plays, at its size."""
        if not self.finished:
            return self.small(latent, condition)
        with torch.no_grad():
            small = self.small(latent, condition)
        _, _, noise = latent.split(self.parts, 1)
        return self.stage_two.network(small, self.stage_two.listener(condition, noise))

    def small(self, latent: Tensor, condition: Condition) -> Tensor:
        """Stage I's pictures, whichever stage plays."""
        if self.finished:
            self.stage_one.eval()
        z, noise, _ = latent.split(self.parts, 1)
        return self.stage_one.network(torch.cat([z, self.stage_one.listener(condition, noise)], 1))

    @torch.no_grad()
    def finish(self, stage_one: Stage) -> None:
        """Stage I is what this one is, from now on."""
        self.stage_one.load_state_dict(stage_one.state_dict())
        self.finished.fill_(True)
