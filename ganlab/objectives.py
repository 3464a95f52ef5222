"""The losses of both sides of the game as functions of logits. Plain torch.

Both losses of an objective are in one class, so they cannot be mixed up. Logits are (N, ...): a patch discriminator has
several logits for each picture, and the loss of a picture is their mean. Losses are per sample, (N,).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

from torch import Tensor
from torch.nn.functional import relu, softplus

from ganlab.config.ranges import Range
from ganlab.divergences import Name, named
from ganlab.errors import UserError


def per_sample(values: Tensor) -> Tensor:
    """Return the mean of each sample's values in float32: (N, ...) -> (N,)."""
    return values.float().flatten(1).mean(1) if values.dim() > 1 else values.float()


EPSILON = 1e-6
"""The smallest distance of a discriminator output from 0 and 1 that a density ratio uses."""


def _no_ratio(objective: str, reason: str) -> UserError:
    return UserError(f"`objective={objective}` identifies no density ratio, {reason}: use nonsaturating or fgan")


def _checked_smoothing(smoothing: float) -> float:
    if not 0 <= smoothing < 0.5:
        raise UserError(f"`smoothing` must be from 0 to under 0.5, got {smoothing}: real targets are 1 - smoothing")
    return smoothing


class Objective(ABC):
    """The losses of both sides, and the divergence between data and model that the discriminator estimates."""

    measures: str
    """The quantity that `divergence` estimates, with its unit."""
    undecided: float = 0.0
    """The logit of a discriminator that cannot distinguish. A sample with a larger logit counts as real."""
    sees_reals: ClassVar[bool] = False
    """True if the generator's loss compares generated pictures with real ones and so needs the logits of both."""

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the discriminator's loss (N,) for logits of real and generated samples."""

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return the generator's loss (N,). `real` is needed only if `sees_reals` is true."""

    @abstractmethod
    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return a scalar whose mean is a lower bound of the divergence, tight at the optimal discriminator."""

    @abstractmethod
    def log_density_ratio(self, logits: Tensor) -> Tensor:
        """Return log p_data / p_model that logits (N, ...) imply, elementwise, in float32.

        Raise `UserError` if even the optimal discriminator's logits do not determine it.
        """


class _Logistic(Objective):
    """The discriminator's loss of Goodfellow et al. 2014, eq. 1: binary cross-entropy.

    smoothing: in [0, 0.5). The target for real samples is 1 - smoothing, and that for generated samples stays 0
    (Salimans et al. 2016, section 3.4). It changes neither the generator's loss nor the divergence.
    """

    measures = "Jensen-Shannon divergence (nats)"

    def __init__(self, smoothing: Annotated[float, Range(least=0, below=0.5)] = 0.0) -> None:
        self.smoothing = _checked_smoothing(smoothing)
        self.undecided = math.log((1 - smoothing) / (1 + smoothing))

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the cross-entropy smoothed by s: (1 - s) softplus(-v) + s softplus(v) = softplus(-v) + s v, (N,)."""
        return self._cross_entropy(real, fake) + self.smoothing * per_sample(real)

    def _cross_entropy(self, real: Tensor, fake: Tensor) -> Tensor:
        return per_sample(softplus(-real.float())) + per_sample(softplus(fake.float()))

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return log 2 - (cross-entropy) / 2, a lower bound of the JSD. It is at most log 2 = 0.6931."""
        return math.log(2) - self._cross_entropy(real, fake).mean() / 2

    def log_density_ratio(self, logits: Tensor) -> Tensor:
        """Return the logit. With smoothing s, D* = (1 - s) p / (p + q), so p / q = e^v / (1 - s - s e^v)."""
        v = logits.float()
        rest = 1 - self.smoothing * (1 + v.clamp(max=80).exp())
        return v - rest.clamp(min=EPSILON).log()


class Minimax(_Logistic):
    """The zero-sum game of Goodfellow et al. 2014, eq. 1: the generator minimizes log(1 - D(G(z))).

    Its gradient vanishes if the discriminator is certain: |d loss / d logit| = sigmoid(logit).
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return log(1 - D(G(z))), (N,)."""
        return -per_sample(softplus(fake.float()))


class NonSaturating(_Logistic):
    """Goodfellow et al. 2014, section 3: the generator minimizes -log D(G(z)). |d loss / d logit| = sigmoid(-logit)."""

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -log D(G(z)), (N,)."""
        return per_sample(softplus(-fake.float()))


class LeastSquares(Objective):
    """Mao et al. 2017 (LSGAN), eq. 9, with targets 1 for real and 0 for generated.

    smoothing: see `NonSaturating`.
    """

    measures = "Le Cam divergence (0 to 1)"

    def __init__(self, smoothing: Annotated[float, Range(least=0, below=0.5)] = 0.0) -> None:
        self.smoothing = _checked_smoothing(smoothing)
        self.undecided = (1 - smoothing) / 2

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return half the squared distances from the targets, (N,)."""
        return self._squares(real, fake, 1 - self.smoothing)

    def _squares(self, real: Tensor, fake: Tensor, target: float) -> Tensor:
        return (per_sample((real.float() - target) ** 2) + per_sample(fake.float() ** 2)) / 2

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return half the squared distance from the target 1, (N,)."""
        return per_sample((fake.float() - 1) ** 2) / 2

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return 1 - 4 loss. At D* = p / (p + q) the loss is half the integral of pq / (p + q).

        The result is then Le Cam's divergence.
        """
        return 1 - 4 * self._squares(real, fake, 1).mean()

    def log_density_ratio(self, logits: Tensor) -> Tensor:
        """Return log D / (1 - D), with D clipped to (0, 1) by 1e-6.

        With smoothing s, D* = (1 - s) p / (p + q), and the result is log D / (1 - s - D).
        """
        top = 1 - self.smoothing
        judged = logits.float().clamp(EPSILON, top - EPSILON)
        return judged.log() - (top - judged).log()


class Hinge(Objective):
    """Lim and Ye 2017, Miyato et al. 2018 (eq. 16 and 17)."""

    measures = "total variation (0 to 1)"

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return max(0, 1 - D(x)) + max(0, 1 + D(G(z))), (N,)."""
        return per_sample(relu(1 - real.float())) + per_sample(relu(1 + fake.float()))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -D(G(z)), (N,)."""
        return -per_sample(fake)

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return 1 - loss / 2. At D* = sign(p - q) the loss is 2 (1 - TV)."""
        return 1 - self.discriminator(real, fake).mean() / 2

    def log_density_ratio(self, logits: Tensor) -> Tensor:
        """Raise `UserError`: the optimal logits are signs."""
        raise _no_ratio("hinge", "only which density is larger")


class Wasserstein(Objective):
    """Arjovsky et al. 2017, eq. 2 and 3. A regularizer or weight clipping must keep the critic 1-Lipschitz."""

    measures = "Wasserstein-1 distance (times the critic's Lipschitz constant)"

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return D(G(z)) - D(x), (N,)."""
        return per_sample(fake) - per_sample(real)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -D(G(z)), (N,)."""
        return -per_sample(fake)

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return E D(x) - E D(G(z))."""
        return -self.discriminator(real, fake).mean()

    def log_density_ratio(self, logits: Tensor) -> Tensor:
        """Raise `UserError`: a critic does not determine densities."""
        raise _no_ratio("wasserstein", "its critic is a potential")


class RelativisticPairing(Objective):
    """Jolicoeur-Martineau 2019 (RpGAN), as Huang et al. 2024 (R3GAN, eq. 2) use it: real and generated in pairs.

    Only differences of logits matter. A constant added to all logits changes nothing.
    """

    measures = "relativistic logistic divergence (nats)"
    sees_reals = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return softplus(D(G(z)) - D(x)) of pairs, (N,)."""
        return per_sample(softplus(fake.float() - real.float()))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return softplus(D(x) - D(G(z))) of pairs, (N,). Raise `ValueError` without `real`."""
        if real is None:
            raise ValueError("RelativisticPairing.generator needs `real`, the logits of real samples")
        return per_sample(softplus(real.float() - fake.float()))

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return log 2 - loss: 0 if the discriminator cannot distinguish, at most log 2."""
        return math.log(2) - self.discriminator(real, fake).mean()

    def log_density_ratio(self, logits: Tensor) -> Tensor:
        """Raise `UserError`: logits are determined only up to a constant."""
        raise _no_ratio("relativistic", "only differences of its logits mean anything")


class _FDivergence(Objective):
    """The discriminator's loss of f-GAN, Nowozin et al. 2016, eq. 6: it maximizes E_p g(V) - E_q f*(g(V)).

    divergence: a row of the paper's tables. alpha: the parameter of `alpha` alone, any number but 0 and 1. pi: the
    parameter of `weighted_js` alone, the weight of the data in (0, 1). Both are 0.5 by default.
    """

    def __init__(self, divergence: Name, alpha: float | None = None, pi: float | None = None) -> None:
        self.f = named(divergence, alpha, pi)
        self.measures = self.f.measures
        self.undecided = self.f.undecided

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return per_sample(self.f.composite(fake.float())) - per_sample(self.f.activation(real.float()))

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return -loss, a lower bound of D_f, with equality if g(v) = f'(p / q)."""
        return -self.discriminator(real, fake).mean()

    def log_density_ratio(self, logits: Tensor) -> Tensor:
        return self.f.log_ratio(logits.float())


class FGAN(_FDivergence):
    """The saddle point of Nowozin et al. 2016, eq. 6: the generator minimizes what the discriminator maximizes.

    With `divergence=gan` it is `Minimax`.
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -f*(g(v)) of the generated samples' logits, (N,)."""
        return -per_sample(self.f.composite(fake.float()))


class NonSaturatingFGAN(_FDivergence):
    """Nowozin et al. 2016, section 3.2: the generator maximizes E_q g(V).

    With `divergence=gan` it is `NonSaturating`.
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -g(v) of the generated samples' logits, (N,)."""
        return -per_sample(self.f.activation(fake.float()))
