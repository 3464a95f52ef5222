"""The sampling methods applied to a model: latents for requested pictures, each from its seed alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.core.density_ratio import RatioGame
from ganlab.data.batch import Condition, take
from ganlab.data.progress import progress
from ganlab.sampling.calibration import Calibration
from ganlab.sampling.drawing import on_device
from ganlab.sampling.evidence import BATCH, Evidence
from ganlab.sampling.langevin import langevin
from ganlab.sampling.metropolis import metropolis
from ganlab.sampling.outcome import LogRatio, Outcome
from ganlab.sampling.rejection import log_odds, rejection


class Stream:
    """A picture's own random numbers. The first latent is the one that it has without a method."""

    def __init__(self, game: RatioGame, seed: int) -> None:
        self.game = game
        self.generator = torch.Generator().manual_seed(seed)

    def latent(self) -> Tensor:
        """Return (1, latent_dim), standard normal."""
        return self.game.draw_latent(1, self.generator)

    def uniform(self) -> Tensor:
        """Return (1,), in [0, 1)."""
        return torch.rand(1, generator=self.generator)

    def candidates(self, count: int) -> tuple[Tensor, Tensor]:
        """Return the next latents (1, count, latent_dim), and a uniform number for each (1, count)."""
        latents, uniforms = zip(*[(self.latent(), self.uniform()) for _ in range(count)], strict=True)
        return torch.cat(latents)[None], torch.cat(uniforms)[None].to(self.game.device)


@dataclass(frozen=True)
class Target:
    """The data's density over the generator's as a function of latents, by a discriminator and its calibration."""

    game: RatioGame
    calibration: Calibration

    def given(self, condition: Condition) -> LogRatio:
        """Return log ratios for pictures with the rows of `condition`. They are differentiable in the latents."""
        condition = on_device(condition, self.game.device)

        def log_ratio(latent: Tensor) -> Tensor:
            images = self.game.generate_with_grad(latent, condition)
            return self.calibration(self.game.log_density_ratio(images, condition))

        return log_ratio

    def of_candidates(self, condition: Condition) -> LogRatio:
        """Return log ratios for an equal number of consecutive pictures for each row of `condition`.

        They are computed by batches, without gradients.
        """

        @torch.no_grad()
        def log_ratio(latent: Tensor) -> Tensor:
            each = 1 if condition is None else len(latent) // len(condition)
            parts = torch.arange(len(latent)).split(BATCH)
            return torch.cat([self.given(take(condition, part // each))(latent[part]) for part in parts])

        return log_ratio


class Guide(ABC):
    """A method that chooses latents by the discriminator's scores of their pictures."""

    @abstractmethod
    def choose(self, condition: Condition, seeds: Sequence[int]) -> Outcome:
        """Return a latent for each seed. `condition` has a row for each."""


@dataclass(frozen=True)
class Rejection(Guide):
    """Rejection among at most `candidates` for each picture. `bound`, `shift`: see `ganlab.sampling.rejection`."""

    target: Target
    bound: float
    shift: float
    candidates: int

    @classmethod
    def of(cls, target: Target, evidence: Evidence, candidates: int, percentile: float | None) -> Rejection:
        """Return the method with its bound: the largest ratio among the evidence's generated pictures.

        Pictures that the generator never draws need no bound. `percentile` of F, 0 to 100, becomes the shift, so
        that this percentage of them is accepted with a chance below one half. None is no shift.
        """
        scores = target.calibration(evidence.fake)
        bound = float(scores.max())
        odds = log_odds(scores, bound)
        shift = 0.0 if percentile is None else float(odds.quantile(percentile / 100))
        return cls(target, bound, shift, candidates)

    def choose(self, condition: Condition, seeds: Sequence[int]) -> Outcome:
        """Return a latent for each seed, and how it was found."""
        places = progress(range(len(seeds)), len(seeds), "rejection, pictures:")
        return Outcome.joined([self._one(take(condition, [i]), seeds[i]) for i in places])

    def _one(self, condition: Condition, seed: int) -> Outcome:
        stream, log_ratio = Stream(self.target.game, seed), self.target.of_candidates(condition)
        sizes = [min(BATCH, self.candidates - start) for start in range(0, self.candidates, BATCH)]
        tried: list[Outcome] = []
        for size in sizes:
            tried.append(rejection(*stream.candidates(size), log_ratio, self.bound, self.shift))
            if tried[-1].accepted.any():
                break
        return _over_blocks(tried, log_ratio)


def _over_blocks(tried: Sequence[Outcome], log_ratio: LogRatio) -> Outcome:
    """Return a picture's outcome after blocks of candidates.

    It is the accepted candidate of the last block, else the likeliest of all.
    """
    *_, last = tried
    proposed = torch.stack([block.proposed for block in tried]).sum(0)
    if last.accepted.any():
        return Outcome(last.latents, last.accepted, proposed)
    likeliest = torch.cat([block.latents for block in tried])
    return Outcome(likeliest[log_ratio(likeliest).argmax()][None], last.accepted, proposed)


@dataclass(frozen=True)
class Metropolis(Guide):
    """A chain of `steps` proposals a picture, from the score of a real held-out picture of the same condition."""

    target: Target
    evidence: Evidence
    steps: int

    def choose(self, condition: Condition, seeds: Sequence[int]) -> Outcome:
        """Return a latent for each seed, and how it was found."""
        groups = [slice(start, start + self._group) for start in range(0, len(seeds), self._group)]
        shown = progress(groups, len(groups), f"Metropolis-Hastings, {self._group} pictures at a time:")
        return Outcome.joined([self._some(take(condition, rows), seeds[rows]) for rows in shown])

    @property
    def _group(self) -> int:
        """Return the number of chains that run together: enough for a few batches of candidates."""
        return max(1, 16 * BATCH // self.steps)

    def _some(self, condition: Condition, seeds: Sequence[int]) -> Outcome:
        streams = [Stream(self.target.game, seed) for seed in seeds]
        latents, uniforms = map(torch.cat, zip(*[stream.candidates(self.steps) for stream in streams], strict=True))
        starts = [self._start(take(condition, [i]), float(stream.uniform())) for i, stream in enumerate(streams)]
        log_ratio = self.target.of_candidates(condition)
        return metropolis(latents, uniforms, log_ratio, torch.tensor(starts, device=uniforms.device))

    def _start(self, condition: Condition, uniform: float) -> float:
        """Return the log ratio of a real picture with the same condition, or of any if there is none."""
        own = _alike(self.evidence.condition, condition, len(self.evidence.real))
        score = self.evidence.real[own[int(uniform * len(own))]]
        return float(self.target.calibration(score[None]))


def _alike(conditions: Condition, one: Condition, count: int) -> list[int]:
    """Return the rows of `conditions` that equal the row `one`; all `count` of them if none does."""
    if conditions is None or one is None:
        return list(range(count))
    said = conditions.tolist() if isinstance(conditions, Tensor) else conditions
    (wanted,) = one.tolist() if isinstance(one, Tensor) else one
    return [row for row, other in enumerate(said) if other == wanted] or list(range(count))


@dataclass(frozen=True)
class Langevin(Guide):
    """Langevin dynamics: `steps` of length `step_size` from the latent that the picture has without a method."""

    target: Target
    steps: int
    step_size: float

    def choose(self, condition: Condition, seeds: Sequence[int]) -> Outcome:
        """Return a latent for each seed, and how it was found."""
        batches = [slice(start, start + BATCH) for start in range(0, len(seeds), BATCH)]
        return Outcome.joined([self._batch(take(condition, rows), seeds[rows]) for rows in batches])

    def _batch(self, condition: Condition, seeds: Sequence[int]) -> Outcome:
        streams = [Stream(self.target.game, seed) for seed in seeds]
        start = torch.cat([stream.latent() for stream in streams])
        chains = langevin(start, self._noise(streams), self.target.given(condition), self.step_size)
        for outcome in progress(chains, self.steps, f"Langevin, steps of pictures {seeds[0]} to {seeds[-1]}:"):
            last = outcome
        return last

    def _noise(self, streams: Sequence[Stream]) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(self.steps):
            normals, uniforms = zip(*[(stream.latent(), stream.uniform()) for stream in streams], strict=True)
            yield torch.cat(normals), torch.cat(uniforms).to(self.target.game.device)
