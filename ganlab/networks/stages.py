"""A generator of two stages. The second starts from the picture of the first (Zhang et al. 2017). Plain PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganlab.data.batch import Condition
from ganlab.networks.conditioning import ConditionEncoder, ConditioningAugmentation
from ganlab.networks.stack import enlarge


class Listener(nn.Module):
    """A stage's condition encoder: a draw from a normal distribution that depends on the condition (section 3.2)."""

    def __init__(self, encoder: ConditionEncoder, dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.augmentation = ConditioningAugmentation(encoder.dim, dim)

    def forward(self, condition: Condition, latent: Tensor, noise: Tensor) -> Tensor:
        """Return the draw (N, dim), a function of condition, latent and noise, which is a part of the latent."""
        draw, _ = self.augmentation(self.encoder(condition, latent), noise)
        return draw

    def divergence(self, condition: Condition, latent: Tensor) -> Tensor:
        """Return the KL divergence of the distribution from N(0, 1) in nats, averaged over its dimensions: (N,)."""
        embedding = self.encoder(condition, latent)
        _, divergence = self.augmentation(embedding, embedding.new_zeros(len(embedding), self.augmentation.dim))
        return divergence


class Stage(nn.Module):
    """One stage's generator: its condition encoder and its network."""

    def __init__(self, listener: Listener, network: nn.Module) -> None:
        super().__init__()
        self.listener = listener
        self.network = network


class StackedGenerator(nn.Module):
    """The generators of both stages. A latent is Stage I's z, then the noise of each stage's condition.

    finished: whether Stage I is finished. It then works in evaluation mode and without gradients, in any mode of this
    module. It is a buffer, so checkpoints and averages contain it. done: the same value for the program, which would
    wait for the device to read the buffer.
    """

    finished: Tensor

    def __init__(self, stage_one: Stage, stage_two: Stage, parts: tuple[int, int, int]) -> None:
        super().__init__()
        self.stage_one = stage_one
        self.stage_two = stage_two
        self.parts = parts
        self.register_buffer("finished", torch.tensor(False))
        self.done = False

    @property
    def playing(self) -> Stage:
        """Return the current stage."""
        return self.stage_two if self.done else self.stage_one

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return pictures at full size. Stage I's pictures are enlarged."""
        drawn = self.play(latent, condition)
        return drawn if self.done else enlarge(drawn)

    def play(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return pictures of the current stage, at its size. Gradients reach a finished Stage I for the latent only."""
        if not self.done:
            return self.small(latent, condition)
        with torch.set_grad_enabled(torch.is_grad_enabled() and latent.requires_grad):
            small = self.small(latent, condition)
        _, _, noise = latent.split(self.parts, 1)
        return self.stage_two.network(small, self.stage_two.listener(condition, latent, noise))

    def small(self, latent: Tensor, condition: Condition) -> Tensor:
        """Return Stage I's pictures."""
        if self.done:
            self.stage_one.eval()
        z, noise, _ = latent.split(self.parts, 1)
        return self.stage_one.network(torch.cat([z, self.stage_one.listener(condition, latent, noise)], 1))

    @torch.no_grad()
    def finish(self, stage_one: Stage) -> None:
        """Replace Stage I by the given one, and finish it."""
        self.stage_one.load_state_dict(stage_one.state_dict())
        self.mark(True)

    def mark(self, done: bool) -> None:
        """Set whether Stage I is finished."""
        self.finished.fill_(done)
        self.done = done

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self.done = not self.finished.is_meta and bool(self.finished)
