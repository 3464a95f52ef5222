"""Statistics of the game that explain a collapse or announce one. Plain torch.

Each diagnostic has a value for charts, and a rule that says when it is abnormal: in three successive looks. Diagnostics
give no alarm and change nothing, because a healthy run may have a confident discriminator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from statistics import median

from torch import Tensor

from ganlab.collapse.messages import IGNORED_LATENT

LASTING = 3  # looks in succession
SEPARATED, OVERFITTED, UNNOTICED, ALIKE = 0.9995, 0.8, 0.3, 0.5  # values that are abnormal if they last
CHANGE = 2  # powers of ten by which a gradient must change


@dataclass(frozen=True)
class GameState:
    """The state of the game at a look.

    train, held_out, fake: the critic's logits (N,) of training images, held-out images and generated images.
    gradients: the gradient norm of each side. missing: the share of the data that the generator misses, from 0 to 1.
    alike: the share of the variety within conditions that it misses, 0 if conditions have no variety.
    """

    train: Tensor
    held_out: Tensor
    fake: Tensor
    gradients: Mapping[str, float]
    missing: float
    alike: float


def separation(real: Tensor, fake: Tensor) -> float:
    """Return P(logit of a real image > logit of a generated one), with ties as one half.

    0.5: the critic cannot distinguish them. 1: it always can. This is the area under the ROC curve. It is invariant to
    increasing functions of the logits, so it means the same for every objective. 2 P - 1 is a lower bound of the total
    variation between data and model.
    """
    difference = real[:, None].double() - fake[None].double()
    return float((difference.sign().mean() + 1) / 2)


def overfitting(train: Tensor, held_out: Tensor, fake: Tensor) -> float:
    """Return r_v = (E D(train) - E D(held out)) / (E D(train) - E D(generated)) (Karras et al. 2020, eq. 1).

    0: held-out images are judged like training images. 1: they are judged like generated images. Return 0 if training
    images are not judged more real than generated ones.
    """
    gap = float(train.double().mean() - fake.double().mean())
    return float(train.double().mean() - held_out.double().mean()) / gap if gap > 0 else 0.0


def unnoticed(state: GameState) -> float:
    """Return the missing share of the data if the critic cannot distinguish real and generated images, else 0."""
    return state.missing if abs(separation(state.held_out, state.fake) - 0.5) < 0.05 else 0.0


def log_gradient(state: GameState, side: str) -> float:
    """Return the decimal logarithm of the side's gradient norm, or NaN if it is unknown or 0."""
    norm = state.gradients.get(side, float("nan"))
    return log10(norm) if norm > 0 else float("nan")


@dataclass(frozen=True)
class Diagnostic:
    """A statistic of the game.

    value: of a state. is_abnormal: of the values at all looks, at least `LASTING`.
    says: what an abnormal value means. advice: what helps.
    """

    value: Callable[[GameState], float]
    is_abnormal: Callable[[Sequence[float]], bool]
    says: str
    advice: str


DIAGNOSTICS = {
    "overfitting": Diagnostic(
        lambda state: overfitting(state.train, state.held_out, state.fake),
        lambda values: min(values[-LASTING:]) >= OVERFITTED,
        "the discriminator knows its training pictures by heart: held-out ones are judged like generated ones",
        "perturbation=[adaptive], perturbation=[diffaugment], a larger gamma, or more pictures",
    ),
    "separation": Diagnostic(
        lambda state: separation(state.held_out, state.fake),
        lambda values: min(values[-LASTING:]) >= SEPARATED and min(values) < 0.95,
        "the discriminator tells every real picture from every generated one: its judgement hardly depends on detail",
        "regularizer=[r1,r2], perturbation=[instance_noise], a lower rate for the discriminator",
    ),
    "unnoticed": Diagnostic(
        unnoticed,
        lambda values: min(values[-LASTING:]) >= UNNOTICED,
        "the discriminator cannot tell real pictures from generated ones, although much of the data is missing",
        "a wider discriminator, a higher rate or more turns for it, a smaller gamma",
    ),
    "alike": Diagnostic(
        lambda state: state.alike,
        lambda values: min(values[-LASTING:]) >= ALIKE,
        "pictures of one condition are nearly alike: the latent changes little",
        IGNORED_LATENT,
    ),
    "starved": Diagnostic(
        lambda state: log_gradient(state, "generator"),
        lambda values: max(values[-LASTING:]) <= median(values) - CHANGE,
        "the generator's gradient has all but vanished",
        "objective=nonsaturating, regularizer=[r1,r2], perturbation=[instance_noise]",
    ),
    "exploding": Diagnostic(
        lambda state: log_gradient(state, "discriminator"),
        lambda values: min(values[-LASTING:]) >= median(values) + CHANGE,
        "the discriminator's gradient has grown a hundredfold",
        "lower rates, regularizer=[r1,r2], discriminator.clip=1",
    ),
}
"""All diagnostics by name."""
