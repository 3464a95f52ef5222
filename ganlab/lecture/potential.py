"""A discriminator's calibrated density ratio turns an imperfect generator's samples into better ones.

Azadi et al. 2019 (rejection), Turner et al. 2019 (Metropolis-Hastings), Che et al. 2020 (Langevin in the latents), on a
game of points that was stopped early. Three discriminators are compared: that of the game, one that went on learning
against the fixed generator, and one that memorized a few samples of either kind.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.data.toy import ToyData, ring
from ganlab.lecture import drawing
from ganlab.lecture.play import Source, adam, falling, fully_connected, game, learn, play, shuffled
from ganlab.metrics.diversity import histogram
from ganlab.metrics.modes import modes
from ganlab.objectives import NonSaturating
from ganlab.regularizers import R1
from ganlab.sampling.calibration import Calibration, Platt, Unchanged
from ganlab.sampling.evidence import Evidence, Verdict
from ganlab.sampling.langevin import langevin
from ganlab.sampling.metropolis import metropolis
from ganlab.sampling.outcome import Outcome
from ganlab.sampling.rejection import rejection
from ganlab.schedules import ConstantThenLinear
from ganlab.variants import VanillaGAN

ITERATIONS, BATCH, LATENT = 3000, 64, 2
ALONE = 3000  # turns of a discriminator against the fixed generator
BY_HEART = 100  # samples of either kind that one of them memorizes
HELD_OUT, SAMPLES = 5000, 2500
CANDIDATES, STEPS, STEP_SIZE = 100, 400, 1e-3
BINS = 10  # of D(x), with equally many points in each
COLORS = {"game": "tab:blue", "alone": "tab:green", "by heart": "tab:orange"}
CALIBRATIONS: dict[str, Callable[[Tensor, Tensor], Calibration]] = {
    "as it is": lambda scores, labels: Unchanged(),
    "calibrated": Platt.fit,
}
SHOWN = ("game, as it is", "game, calibrated", "alone, calibrated")
BALANCE = {"by heart, as it is": "tab:orange", "by heart, calibrated": "tab:brown"}


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    torch.manual_seed(seed)
    data = ToyData(ring(), held_out_count=HELD_OUT, seed=seed)
    module = stopped(data)
    plain = Drawn(module.sample(torch.randn(SAMPLES, LATENT)), 1.0)
    evidence = {name: gathered(module, judge, data) for name, judge in judges(module, data).items()}
    answers = {
        f"{name}, {way}": Answer.of(module, seen, fit(*seen.evidence.half(0)))
        for name, seen in evidence.items()
        for way, fit in CALIBRATIONS.items()
    }
    _draw(folder / "potential.png", plain, answers, evidence, data)
    numbers = {name: answer.numbers(data) for name, answer in answers.items()}
    return {"plain": plain.numbers(data), **numbers}


# The game and its discriminators ----------------------------------------------------------------------------------


def stopped(data: ToyData) -> VanillaGAN:
    """Return the game of `recipe=ring`, trained for a tenth of the iterations."""
    fading = partial(ConstantThenLinear, hold=0.5, end=ITERATIONS)
    sides = adam(1e-3, scheduler=fading), adam(1e-3, scheduler=fading, regularizers={"r1": R1(0.1, every=4)})
    module = game(data, fully_connected(128, 3), NonSaturating(), *sides, LATENT, average=20_000)
    play(module, data, ITERATIONS, BATCH, look=lambda module: None, every=ITERATIONS)
    return module.eval()


def fakes(module: VanillaGAN) -> Source:
    """Return a source of samples of the averaged generator."""
    return lambda count: module.sample(torch.randn(count, LATENT))


def judges(module: VanillaGAN, data: ToyData) -> dict[str, nn.Module]:
    """Return the discriminators to compare. All start from the game's last weights."""
    points, fake = torch.as_tensor(data.train.images), fakes(module)
    few = shuffled(points[:BY_HEART]), shuffled(fake(BY_HEART))
    found: dict[str, nn.Module] = {"game": module.discriminator}
    for name, sources in {"alone": (shuffled(points), fake), "by heart": few}.items():
        found[name] = copy.deepcopy(module.discriminator)
        learn(found[name], NonSaturating(), falling(1e-3, ALONE), *sources, ALONE)
    return found


@dataclass(frozen=True)
class Judged:
    """A discriminator with its scores of held-out points and of as many generated ones."""

    judge: nn.Module
    evidence: Evidence

    def reliability(self) -> tuple[Tensor, Tensor]:
        """Return, by tenths of D(x), its mean and the share of real points; (BINS,) each."""
        scores = torch.cat([self.evidence.real, self.evidence.fake])
        real = torch.cat([torch.ones(len(self.evidence.real)), torch.zeros(len(self.evidence.fake))])
        parts = scores.argsort().chunk(BINS)
        claimed = torch.stack([torch.sigmoid(scores[part]).mean() for part in parts])
        return claimed, torch.stack([real[part].mean() for part in parts])


@torch.no_grad()
def gathered(module: VanillaGAN, judge: nn.Module, data: ToyData) -> Judged:
    """Return the discriminator's scores of held-out and of generated points."""
    real = torch.as_tensor(data.reference.images)
    return Judged(judge, Evidence(judge(real), judge(fakes(module)(len(real))), None))


# Samples by each method -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """Points (N, 2), and the share of candidates that were accepted."""

    points: Tensor
    accepted: float

    def numbers(self, data: ToyData) -> dict[str, float]:
        """Return the modes' shares and the quality of the chosen points."""
        report = modes(self.points, data.modes.centers, data.modes.sigma)
        found = {"modes": report.captured, "high_quality": report.high_quality, "reverse_kl": report.kl}
        return {**found, "accepted": self.accepted}


@dataclass(frozen=True)
class Answer:
    """The samples of each method for one discriminator under one calibration."""

    verdict: Verdict
    drawn: dict[str, Drawn]

    @classmethod
    def of(cls, module: VanillaGAN, seen: Judged, calibration: Calibration) -> Answer:
        """Return the samples of each method for this discriminator."""
        found = outcomes(module, seen, calibration)
        drawn = {name: Drawn(module.sample(outcome.latents), outcome.rate) for name, outcome in found.items()}
        return cls(Verdict.on(seen.evidence, calibration), drawn)

    def numbers(self, data: ToyData) -> dict[str, Any]:
        """Return Brier's score and Z after the calibration, and the line that describes the error before."""
        v = self.verdict
        line = {"slope": v.slope, "slope_error": v.error, "intercept": v.intercept, "brier": v.brier[1], "z": v.z[1]}
        return {**line, **{name: drawn.numbers(data) for name, drawn in self.drawn.items()}}


def outcomes(module: VanillaGAN, seen: Judged, calibration: Calibration) -> dict[str, Outcome]:
    """Return latents by each method. Rejection and the chain choose among the same candidates."""

    def log_ratio(latent: Tensor) -> Tensor:
        return calibration(seen.judge(module.generate_with_grad(latent)))

    latents, uniforms = torch.randn(SAMPLES, CANDIDATES, LATENT), torch.rand(SAMPLES, CANDIDATES)
    real, bound = calibration(seen.evidence.real), float(calibration(seen.evidence.fake).max())
    with torch.no_grad():
        rejected = rejection(latents, uniforms, log_ratio, bound)
        walked = metropolis(latents, uniforms, log_ratio, real[torch.randint(len(real), (SAMPLES,))])
    chains = langevin(torch.randn(SAMPLES, LATENT), _noise(), log_ratio, STEP_SIZE)
    return {"rejection": rejected, "mh": walked, "langevin": deque(chains, maxlen=1)[0]}


def _noise() -> Iterator[tuple[Tensor, Tensor]]:
    return ((torch.randn(SAMPLES, LATENT), torch.rand(SAMPLES)) for _ in range(STEPS))


# Drawn ------------------------------------------------------------------------------------------------------------


def _draw(file: Path, plain: Drawn, answers: dict[str, Answer], seen: dict[str, Judged], data: ToyData) -> None:
    figure, axes = drawing.panels(4, len(SHOWN), width=2.8, height=2.8)
    _scatter(axes[0, 0], plain, "the generator alone", data)
    _reliability(axes[1, 0], seen)
    _balance(axes[2, 0], {name: answers[name].drawn["rejection"] for name in BALANCE}, data)
    for row, name in zip(axes, SHOWN, strict=True):
        for axis, (method, drawn) in zip(row[1:], answers[name].drawn.items(), strict=True):
            _scatter(axis, drawn, f"{method}; {name}", data)
    drawing.save(figure, file)


def _scatter(axis: Any, drawn: Drawn, title: str, data: ToyData) -> None:
    axis.scatter(*drawn.points.T, s=2, color=drawing.GENERATED, linewidths=0, alpha=0.5)
    axis.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    axis.set_title(f"{title}\n{drawn.numbers(data)['high_quality']:.1%} within 3 sigma", fontsize=9)


def _reliability(axis: Any, seen: dict[str, Judged]) -> None:
    for name, judged in seen.items():
        axis.plot(*judged.reliability(), marker=".", color=COLORS[name], label=name)
    axis.plot([0, 1], [0, 1], color=drawing.TRUTH, linestyle=":")
    axis.set_title("D(x) as claimed, and how often real", fontsize=9)
    axis.legend(fontsize=8)


def _balance(axis: Any, drawn: dict[str, Drawn], data: ToyData) -> None:
    for name, color in BALANCE.items():
        counts = histogram(drawn[name].points, data.modes.centers)
        axis.plot(range(1, len(counts) + 1), counts / counts.sum(), marker=".", color=color, label=name)
    axis.axhline(1 / len(data.modes.centers), color=drawing.TRUTH, linestyle=":")
    axis.set(ylim=(0, None))
    axis.set_title("share of the samples by mode, rejection", fontsize=9)
    axis.legend(fontsize=8)
