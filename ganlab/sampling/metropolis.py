"""A Metropolis-Hastings chain whose proposals are the generator's samples: Turner et al. 2019. Plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.sampling.outcome import LogRatio, Outcome


def chain(score: Tensor, uniforms: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Return which candidate (N,) each chain ends on, -1 for its start, and how many it accepted (N,).

    A chain at x moves to candidate x' with chance min(1, r(x') / r(x)), r = p_data / p_g = 1 / (1/D - 1).
    score, uniforms: (N, K); start: (N,), the log ratio of a real sample, so that the chain is among the data at once.
    """
    now, place = start.to(score.dtype), torch.full_like(start, -1, dtype=torch.long)
    accepted = torch.zeros_like(place)
    for k in range(score.shape[1]):
        moves = uniforms[:, k] < torch.exp(score[:, k] - now)
        now, place = torch.where(moves, score[:, k], now), torch.where(moves, k, place)
        accepted += moves
    return place, accepted


def metropolis(latents: Tensor, uniforms: Tensor, log_ratio: LogRatio, start: Tensor) -> Outcome:
    """Where each chain is after K proposals. latents: (N, K, L); uniforms: (N, K) in [0, 1); start: (N,) log ratios.

    A chain that never left its real sample, which is no answer, is run again from its own first candidate.
    """
    count, steps, _ = latents.shape
    score = log_ratio(latents.flatten(0, 1)).unflatten(0, (count, steps))
    place, accepted = chain(score, uniforms, start)
    again, _ = chain(score, uniforms, torch.full_like(start, -torch.inf))
    chosen = torch.where(accepted > 0, place, again)
    return Outcome(latents[torch.arange(count), chosen], accepted, torch.full_like(accepted, steps))
