"""From what the command line asks for to latents: evidence, calibration, guide, with a line said of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.console import say
from ganlab.core.assembly import make_data
from ganlab.core.density_ratio import as_ratio_game
from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Condition
from ganlab.sampling.evidence import CALIBRATIONS, Evidence, Verdict
from ganlab.sampling.guides import Guide, Langevin, Metropolis, Rejection, Target
from ganlab.sampling.outcome import Outcome


@dataclass(frozen=True)
class Wish:
    """A method, how it is calibrated on how many held-out pictures, and what each method reads of the rest."""

    method: str
    calibration: str
    held_out: int
    candidates: int
    percentile: float | None
    steps: int
    step_size: float


GUIDES: dict[str, Callable[[Target, Evidence, Wish], Guide]] = {
    "rejection": lambda target, evidence, wish: Rejection.of(target, evidence, wish.candidates, wish.percentile),
    "mh": lambda target, evidence, wish: Metropolis(target, evidence, wish.steps),
    "langevin": lambda target, evidence, wish: Langevin(target, wish.steps, wish.step_size),
}


def choose(module: GenerativeModule, condition: Condition, seeds: Sequence[int], wish: Wish) -> Tensor:
    """Latents (N, latent_dim) for the seeds, told the rows of `condition`; says how they were come by.

    `UserError` if the model's discriminator cannot guide, before its data are loaded.
    """
    game = as_ratio_game(module, condition)
    data = make_data(module.recipe)
    game.to("cuda" if torch.cuda.is_available() else "cpu")
    evidence = Evidence.gather(game, data.reference, wish.held_out)
    calibration = CALIBRATIONS[wish.calibration](*evidence.half(0))
    _say_verdict(Verdict.on(evidence, calibration), wish.calibration, len(evidence.real))
    guide = GUIDES[wish.method](Target(game, calibration), evidence, wish)
    outcome = guide.choose(condition, seeds)
    _say_outcome(outcome, wish.method)
    return outcome.latents


def _say_verdict(verdict: Verdict, calibration: str, count: int) -> None:
    print(f"calibration={calibration} on {count} held-out and {count} generated pictures: {verdict}")
    if not verdict.generalizes:
        say(
            "ganlab: the discriminator does not tell held-out pictures from generated ones (slope under two standard "
            "errors; it may know its training pictures by heart), so that no method can do much for this model"
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
"""What is shown for pictures without an accepted candidate, and what to do."""
