"""A Metropolis-Hastings chain whose proposals are the generator's samples: Turner et al. 2019. Plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.sampling.outcome import LogRatio, Outcome


def chain(score: Tensor, uniforms: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Return the last candidate (N,) of each chain, -1 for its start, and the number of accepted candidates (N,).

    A chain at x moves to candidate x' with probability min(1, r(x') / r(x)), r = p_data / p_g = 1 / (1/D - 1).
    score, uniforms: (N, K); start: (N,), the log ratio of a real sample, so that the chain starts in the data's region.
    """
    now, place = start.to(score.dtype), torch.full_like(start, -1, dtype=torch.long)
    accepted = torch.zeros_like(place)
    for k in range(score.shape[1]):
        moves = uniforms[:, k] < torch.exp(score[:, k] - now)
        now, place = torch.where(moves, score[:, k], now), torch.where(moves, k, place)
        accepted += moves
    return place, accepted


def metropolis(latents: Tensor, uniforms: Tensor, log_ratio: LogRatio, start: Tensor) -> Outcome:
    """Return the state of each chain after K proposals.

    latents: (N, K, L); uniforms: (N, K) in [0, 1); start: (N,) log ratios. A chain that never left its real sample
    gives no answer. It is run again from its own first candidate.
    """
    count, steps, _ = latents.shape
    score = log_ratio(latents.flatten(0, 1)).unflatten(0, (count, steps))
    place, accepted = chain(score, uniforms, start)
    again, _ = chain(score, uniforms, torch.full_like(start, -torch.inf))
    chosen = torch.where(accepted > 0, place, again)
    return Outcome(latents[torch.arange(count), chosen], accepted, torch.full_like(accepted, steps))
