"""The game of `recipe=vanilla` as a plain loop of torch, for benchmarks: same networks, batches and penalty."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Loop:
    """Non-saturating GAN with R1 and a moving average, written as a tutorial writes it.

    tuned: draw each generated batch once for both turns, freeze the discriminator in the generator's turn, and update
    the average by one fused operation. Otherwise it does none of these.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer],
        latent_dim: int,
        gamma: float,
        penalty_every: int,
        tuned: bool,
    ) -> None:
        self.generator, self.discriminator = copy.deepcopy(generator), copy.deepcopy(discriminator)
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.optimizers = [optimizer(net.parameters()) for net in (self.generator, self.discriminator)]
        self.latent_dim, self.gamma, self.every, self.tuned = latent_dim, gamma, penalty_every, tuned
        self.done = 0

    def iteration(self, real: Tensor) -> None:
        """Update the discriminator and then the generator on one batch."""
        fake = self.generator(torch.randn(len(real), self.latent_dim))
        self._step(1, self.discriminator_loss(real, fake))
        self.discriminator.requires_grad_(not self.tuned)
        if not self.tuned:
            fake = self.generator(torch.randn(len(real), self.latent_dim))
        loss = F.softplus(-self.discriminator(fake)).mean()
        self._step(0, loss)
        self.discriminator.requires_grad_(True)
        self.finish()

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the discriminator's loss, with the penalty if it is due."""
        logits = self.discriminator(real), self.discriminator(fake.detach())
        loss = F.softplus(-logits[0]).mean() + F.softplus(logits[1]).mean()
        if self.done % self.every == 0:
            seen = real.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.discriminator(seen).sum(), seen, create_graph=True)
            loss = loss + self.every * self.gamma / 2 * gradient.square().flatten(1).sum(1).mean()
        return loss

    def finish(self) -> None:
        """Update the average, and count the iteration."""
        self._average()
        self.done += 1

    def _step(self, side: int, loss: Tensor) -> None:
        self.optimizers[side].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizers[side].step()

    @torch.no_grad()
    def _average(self) -> None:
        pairs = list(zip(self.average.parameters(), self.generator.parameters(), strict=True))
        if self.tuned:
            torch._foreach_lerp_([old for old, _ in pairs], [new for _, new in pairs], 0.01)
        else:
            for old, new in pairs:
                old.lerp_(new, 0.01)
