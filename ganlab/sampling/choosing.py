"""Choose latents as the command line asks: evidence, calibration, method. Print a line on each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.console import say
from ganlab.core.assembly import make_data
from ganlab.core.density_ratio import RatioGame, as_ratio_game
from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Condition
from ganlab.data.pictures import Pictures
from ganlab.sampling.evidence import CALIBRATIONS, Evidence, Verdict
from ganlab.sampling.guides import Guide, Langevin, Metropolis, Rejection, Target
from ganlab.sampling.outcome import Outcome


@dataclass(frozen=True)
class GuidanceSettings:
    """A method, its calibration, the number of held-out pictures for it, and the parameters of the methods."""

    method: str
    calibration: str
    held_out: int
    candidates: int
    percentile: float | None
    steps: int
    step_size: float


GUIDES: dict[str, Callable[[Target, Evidence, GuidanceSettings], Guide]] = {
    "rejection": lambda target, evidence, settings: Rejection.of(
        target, evidence, settings.candidates, settings.percentile
    ),
    "mh": lambda target, evidence, settings: Metropolis(target, evidence, settings.steps),
    "langevin": lambda target, evidence, settings: Langevin(target, settings.steps, settings.step_size),
}


def choose(module: GenerativeModule, condition: Condition, seeds: Sequence[int], settings: GuidanceSettings) -> Tensor:
    """Return latents (N, latent_dim) for the seeds and the rows of `condition`. Print a report.

    Raise `UserError` if the model's discriminator cannot guide, before its data are loaded.
    """
    game = as_ratio_game(module, condition)
    data = make_data(module.recipe)
    game.to("cuda" if torch.cuda.is_available() else "cpu")
    guide = prepared(game, data.reference, settings)
    outcome = guide.choose(condition, seeds)
    _say_outcome(outcome, settings.method)
    return outcome.latents


def prepared(game: RatioGame, held_out: Pictures, settings: GuidanceSettings) -> Guide:
    """Return the method, calibrated on held-out pictures. Print a verdict on the discriminator."""
    evidence = Evidence.gather(game, held_out, settings.held_out)
    calibration = CALIBRATIONS[settings.calibration](*evidence.half(0))
    _say_verdict(Verdict.on(evidence, calibration), settings.calibration, len(evidence.real))
    return GUIDES[settings.method](Target(game, calibration), evidence, settings)


def _say_verdict(verdict: Verdict, calibration: str, count: int) -> None:
    print(f"calibration={calibration} on {count} held-out and {count} generated pictures: {verdict}")
    if not verdict.generalizes:
        say(
            "ganlab: the discriminator does not distinguish held-out from generated pictures (slope under two standard "
            "errors; it may have memorized its training pictures), so no method can improve this model's pictures much"
        )


def _say_outcome(outcome: Outcome, method: str) -> None:
    accepted, proposed = int(outcome.accepted.sum()), int(outcome.proposed.sum())
    print(f"method={method}: {accepted} of {proposed} candidates accepted ({outcome.rate:.1%})")
    if outcome.stuck:
        say(f"ganlab: none was accepted for {outcome.stuck} of {len(outcome.latents)} pictures{STUCK[method]}")


STUCK = {
    "rejection": ", which show the likeliest instead: more candidates=N, or a percentile=80, accept sooner",
    "mh": ", which show where a chain from a generated picture ends: more steps=N accept more",
    "langevin": ", which are those of method=none: a smaller step_size=X moves",
}
"""The remedy for pictures without an accepted candidate, and what is shown for them."""
