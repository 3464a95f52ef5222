"""How the game itself stands: symptoms that explain a collapse, or announce one. Plain torch.

Each has a number for charts and says when it is out of order, three looks in a row. They give no alarm and change
nothing: a discriminator may well be sure of itself in a run that goes well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10
from statistics import median
from typing import ClassVar

from torch import Tensor

LASTING = 3  # looks in a row


@dataclass(frozen=True)
class Game:
    """The critic's logits (N,) of training pictures, held-out pictures and generated ones; gradient norms by side;
    and how much of the data the generator misses, from 0 to 1."""

    train: Tensor
    held_out: Tensor
    fake: Tensor
    gradients: Mapping[str, float]
    missing: float


def separation(real: Tensor, fake: Tensor) -> float:
    """P(a real picture's logit is above a generated one's), ties counting half: 0.5 cannot tell, 1 always can.

    The area under the ROC curve; the same whatever increasing function the logits go through, so that it means the same
    for every objective. 2 P - 1 is a lower bound of the total variation between data and model.
    """
    difference = real[:, None].double() - fake[None].double()
    return float((difference.sign().mean() + 1) / 2)


def overfitting(train: Tensor, held_out: Tensor, fake: Tensor) -> float:
    """r_v = (E D(train) - E D(held out)) / (E D(train) - E D(generated)) (Karras et al. 2020, eq. 1).

    0: held-out pictures are judged like training pictures; 1: like generated ones. 0 where training pictures are not
    judged more real than generated ones.
    """
    gap = float(train.double().mean() - fake.double().mean())
    return float(train.double().mean() - held_out.double().mean()) / gap if gap > 0 else 0.0


class Symptom(ABC):
    """A number about the game, when it is out of order, and what that means."""

    name: ClassVar[str]
    says: ClassVar[str]
    advice: ClassVar[str]

    @abstractmethod
    def value(self, game: Game) -> float:
        """The number; NaN where the game has none."""

    @abstractmethod
    def wrong(self, values: Sequence[float]) -> bool:
        """Whether the last looks are out of order. `values`: of all looks, at least `LASTING`."""


class Overfitting(Symptom):
    """The discriminator knows its training pictures rather than what they have in common."""

    name = "overfitting"
    says = "the discriminator knows its training pictures by heart: held-out ones are judged like generated ones"
    advice = "perturbation=[adaptive], perturbation=[diffaugment], a larger gamma, or more pictures"

    def value(self, game: Game) -> float:
        return overfitting(game.train, game.held_out, game.fake)

    def wrong(self, values: Sequence[float]) -> bool:
        return min(values[-LASTING:]) >= 0.8


class Saturated(Symptom):
    """The discriminator tells all held-out reals from all generated pictures, and did not always."""

    name = "separation"
    says = "the discriminator tells every real picture from every generated one: its judgement hardly depends on detail"
    advice = "regularizer=[r1,r2], perturbation=[instance_noise], a lower rate for the discriminator"

    def value(self, game: Game) -> float:
        return separation(game.held_out, game.fake)

    def wrong(self, values: Sequence[float]) -> bool:
        return min(values[-LASTING:]) >= 0.9995 and min(values) < 0.95


class Idle(Symptom):
    """The discriminator cannot tell, although the generator misses much: it has nothing to teach."""

    name = "unnoticed"
    says = "the discriminator cannot tell real pictures from generated ones, although much of the data is missing"
    advice = "a wider discriminator, a higher rate or more turns for it, a smaller gamma"

    def value(self, game: Game) -> float:
        """How much is missing without the discriminator's noticing."""
        return game.missing if abs(separation(game.held_out, game.fake) - 0.5) < 0.05 else 0.0

    def wrong(self, values: Sequence[float]) -> bool:
        return min(values[-LASTING:]) >= 0.3


class Gradient(Symptom, ABC):
    """The logarithm (base 10) of a side's gradient norm."""

    side: ClassVar[str]

    def value(self, game: Game) -> float:
        norm = game.gradients.get(self.side, float("nan"))
        return log10(norm) if norm > 0 else float("nan")


class Starved(Gradient):
    """The generator's gradient is a hundredth of what it used to be."""

    name, side = "starved", "generator"
    says = "the generator's gradient has all but vanished"
    advice = "objective=nonsaturating, regularizer=[r1,r2], perturbation=[instance_noise]"

    def wrong(self, values: Sequence[float]) -> bool:
        return max(values[-LASTING:]) <= median(values) - 2


class Exploding(Gradient):
    """The discriminator's gradient is a hundred times what it used to be."""

    name, side = "exploding", "discriminator"
    says = "the discriminator's gradient has grown a hundredfold"
    advice = "lower rates, regularizer=[r1,r2], discriminator.clip=1"

    def wrong(self, values: Sequence[float]) -> bool:
        return min(values[-LASTING:]) >= median(values) + 2


SYMPTOMS: tuple[Symptom, ...] = (Overfitting(), Saturated(), Idle(), Starved(), Exploding())
