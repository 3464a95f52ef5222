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
    """The state of the chains: latents (N, L), their energy (N,) and its slope (N, L)."""

    latent: Tensor
    energy: Tensor
    slope: Tensor

    @classmethod
    def at(cls, latent: Tensor, log_ratio: LogRatio) -> Place:
        """Return E(z) = |z|^2 / 2 - d(G(z)), up to a constant (latents are standard normal), and dE/dz."""
        latent = latent.detach().requires_grad_(True)
        with torch.enable_grad():
            energy = latent.double().square().sum(1) / 2 - log_ratio(latent)
            (slope,) = torch.autograd.grad(energy.sum(), latent)
        return cls(latent.detach(), energy.detach(), slope)

    def moved(self, step: float, noise: Tensor) -> Tensor:
        """Return z - step/2 dE/dz + sqrt(step) noise, the paper's step."""
        return self.latent - step / 2 * self.slope + step**0.5 * noise

    def log_chance(self, other: Tensor, step: float) -> Tensor:
        """Return (N,): the log density of proposing `other` from here, up to a constant."""
        return -(other - self.latent + step / 2 * self.slope).double().square().sum(1) / (2 * step)


def langevin(
    latent: Tensor, noise: Iterable[tuple[Tensor, Tensor]], log_ratio: LogRatio, step: float
) -> Iterator[Outcome]:
    """Run chains from latents (N, L). Yield one outcome after each step. The last is the answer.

    noise: for each step normals (N, L) and uniforms (N,). The chain is Metropolis-adjusted (Roberts and Tweedie 1996),
    which the paper's is not: a step is taken with probability min(1, exp(E(z) - E(z')) q(z | z') / q(z' | z)). So any
    step size has exactly the limit exp(-E), and a step that is too long shows in the acceptance rate.
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
    """Return (N,) values expanded to the number of dimensions of `values`."""
    return moves.view(-1, *[1] * (values.dim() - 1))
