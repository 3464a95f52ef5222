"""Discriminator rejection sampling: Azadi et al. 2019. Plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.sampling.outcome import LogRatio, Outcome

EPSILON = 1e-6  # keeps F finite for a candidate at the bound, whose probability is then 1 - 1e-6


def log_odds(score: Tensor, bound: float) -> Tensor:
    """Return F(x) = d - d_M - log(1 - exp(d - d_M - epsilon)), without the paper's gamma.

    Scores above the bound are clipped to it. sigmoid(F) = exp(d - d_M) up to epsilon: the ratio over its largest value.
    """
    below = (score.double() - bound).clamp(max=0)
    return below - torch.log(-torch.expm1(below - EPSILON))


def acceptance(score: Tensor, bound: float, shift: float = 0.0) -> Tensor:
    """Return the probabilities sigmoid(F - shift), one for each score. `shift` is the paper's gamma.

    At shift 0 the accepted samples are distributed as the data, and one in exp(bound) is accepted. A positive shift
    accepts fewer. A negative shift accepts more with a bias: the ratio counts up to about exp(bound + shift) and
    saturates there.
    """
    return torch.sigmoid(log_odds(score, bound) - shift)


def rejection(latents: Tensor, uniforms: Tensor, log_ratio: LogRatio, bound: float, shift: float = 0.0) -> Outcome:
    """Return the first accepted candidate of each picture.

    latents: (N, K, L); uniforms: (N, K) in [0, 1). `bound`: the largest log ratio. If no candidate is accepted, the
    likeliest one is used.
    """
    count, candidates, _ = latents.shape
    score = log_ratio(latents.flatten(0, 1)).unflatten(0, (count, candidates))
    passed = uniforms < acceptance(score, bound, shift)
    found = passed.any(1)
    chosen = torch.where(found, passed.int().argmax(1), score.argmax(1))
    tried = torch.where(found, chosen + 1, candidates)
    return Outcome(latents[torch.arange(count), chosen], found.long(), tried)
