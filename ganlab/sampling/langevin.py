"""Discriminator driven latent sampling: Langevin dynamics on E(z) = -log p0(z) - d(G(z)). Che et al. 2020.

Plain torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.sampling.outcome import LogRatio, Outcome


@dataclass(frozen=True)
class Place:
    """Where chains are: latents (N, L), their energy (N,) and its slope (N, L)."""

    latent: Tensor
    energy: Tensor
    slope: Tensor

    @classmethod
    def at(cls, latent: Tensor, log_ratio: LogRatio) -> Place:
        """E(z) = |z|^2 / 2 - d(G(z)), up to a constant (latents are standard normal), and dE/dz."""
        latent = latent.detach().requires_grad_(True)
        with torch.enable_grad():
            energy = latent.double().square().sum(1) / 2 - log_ratio(latent)
            (slope,) = torch.autograd.grad(energy.sum(), latent)
        return cls(latent.detach(), energy.detach(), slope)

    def moved(self, step: float, noise: Tensor) -> Tensor:
        """z - step/2 dE/dz + sqrt(step) noise, the paper's step."""
        return self.latent - step / 2 * self.slope + step**0.5 * noise

    def log_chance(self, other: Tensor, step: float) -> Tensor:
        """Return (N,): the log density of proposing `other` from here, up to a constant."""
        return -(other - self.latent + step / 2 * self.slope).double().square().sum(1) / (2 * step)


def langevin(
    latent: Tensor, noise: Iterable[tuple[Tensor, Tensor]], log_ratio: LogRatio, step: float
) -> Iterator[Outcome]:
    """Chains from latents (N, L); one outcome after each step, the last being the answer.

    noise: for each step normals (N, L) and uniforms (N,). Metropolis-adjusted (Roberts and Tweedie 1996), which the
    paper's chain is not: a step is taken with chance min(1, exp(E(z) - E(z')) q(z | z') / q(z' | z)), so that any step
    size ends at exp(-E) exactly, and one that is too long shows in the acceptance rate.
    """
    now = Place.at(latent, log_ratio)
    accepted = torch.zeros(len(latent), dtype=torch.long, device=latent.device)
    for steps, (normal, uniform) in enumerate(noise, 1):
        then = Place.at(now.moved(step, normal), log_ratio)
        back_and_forth = then.log_chance(now.latent, step) - now.log_chance(then.latent, step)
        moves = uniform.log() < now.energy - then.energy + back_and_forth
        now = Place(*(torch.where(_over(moves, new), new, old) for new, old in _fields(then, now)))
        accepted += moves
        yield Outcome(now.latent, accepted.clone(), torch.full_like(accepted, steps))


def _fields(then: Place, now: Place) -> Iterator[tuple[Tensor, Tensor]]:
    yield from ((then.latent, now.latent), (then.energy, now.energy), (then.slope, now.slope))


def _over(moves: Tensor, values: Tensor) -> Tensor:
    """Return (N,) to the number of dimensions of `values`."""
    return moves.view(-1, *[1] * (values.dim() - 1))
