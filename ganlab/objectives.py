"""What the two sides of the game minimise, given logits.

Both halves of an objective live in one class, so that they cannot be mixed up. Logits are (N, ...): a patch
discriminator has several a picture, and a picture's loss is the mean over them. Losses are per sample, (N,).
Plain torch.
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
    """(N, ...) -> (N,): the mean over everything that belongs to one sample, in float32."""
    return values.float().flatten(1).mean(1) if values.dim() > 1 else values.float()


EPSILON = 1e-6
"""How near to 0 and 1 a judgement is believed where it makes a density ratio."""


def _no_ratio(objective: str, reason: str) -> UserError:
    return UserError(f"`objective={objective}` identifies no density ratio, {reason}: use nonsaturating or fgan")


def _checked_smoothing(smoothing: float) -> float:
    if not 0 <= smoothing < 0.5:
        raise UserError(f"`smoothing` must be from 0 to under 0.5, got {smoothing}: real targets are 1 - smoothing")
    return smoothing


class Objective(ABC):
    """Two losses, and the divergence between data and model that the discriminator measures while it plays."""

    measures: str
    """What `divergence` estimates, with its unit."""
    undecided: float = 0.0
    """The logit of a discriminator that cannot tell: above it a sample is called real."""
    sees_reals: ClassVar[bool] = False
    """Whether the generator's loss compares its pictures with real ones, and so needs their logits."""

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """(N,) loss of the discriminator for logits of real and generated samples."""

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """(N,) loss of the generator. `real` is needed only by objectives that say `sees_reals`."""

    @abstractmethod
    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """The estimate these logits give, a scalar: a lower bound in expectation, reached at the best discriminator."""

    @abstractmethod
    def log_density_ratio(self, logits: Tensor) -> Tensor:
        """log p_data / p_model as logits (N, ...) claim it, elementwise, in float32.

        Raises `UserError` where not even the best discriminator's logits identify it.
        """


class _Logistic(Objective):
    """The discriminator's half of Goodfellow et al. 2014, eq. 1: binary cross-entropy.

    `smoothing`: the discriminator's target for real samples is 1 - smoothing, in [0, 0.5), and that for generated ones
    stays 0 (Salimans et al. 2016, section 3.4). Neither the generator's loss nor the divergence has it.
    """

    measures = "Jensen-Shannon divergence (nats)"

    def __init__(self, smoothing: Annotated[float, Range(least=0, below=0.5)] = 0.0) -> None:
        self.smoothing = _checked_smoothing(smoothing)
        self.undecided = math.log((1 - smoothing) / (1 + smoothing))

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Smoothed by s: (1 - s) softplus(-v) + s softplus(v) = softplus(-v) + s v."""
        return self._cross_entropy(real, fake) + self.smoothing * per_sample(real)

    def _cross_entropy(self, real: Tensor, fake: Tensor) -> Tensor:
        return per_sample(softplus(-real.float())) + per_sample(softplus(fake.float()))

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """JSD >= log 2 - (cross-entropy) / 2, at most log 2 = 0.6931."""
        return math.log(2) - self._cross_entropy(real, fake).mean() / 2

    def log_density_ratio(self, logits: Tensor) -> Tensor:
        """The logit. Smoothed, D* = (1 - s) p / (p + q), so that p / q = e^v / (1 - s - s e^v)."""
        v = logits.float()
        rest = 1 - self.smoothing * (1 + v.clamp(max=80).exp())
        return v - rest.clamp(min=EPSILON).log()


class Minimax(_Logistic):
    """The zero-sum game of Goodfellow et al. 2014, eq. 1: the generator minimises log(1 - D(G(z))).

    Its gradient vanishes when the discriminator is sure: |d loss / d logit| = sigmoid(logit).
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return log(1 - D(G(z))), (N,)."""
        return -per_sample(softplus(fake.float()))


class NonSaturating(_Logistic):
    """Goodfellow et al. 2014, section 3: the generator minimises -log D(G(z)). |d loss / d logit| = sigmoid(-logit)."""

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -log D(G(z)), (N,)."""
        return per_sample(softplus(-fake.float()))


class LeastSquares(Objective):
    """Mao et al. 2017 (LSGAN), eq. 9, with targets 1 for real and 0 for generated.

    `smoothing` as in `NonSaturating`.
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
        """At D* = p / (p + q) the loss is half the integral of pq / (p + q), and 1 - 4 loss is Le Cam's divergence."""
        return 1 - 4 * self._squares(real, fake, 1).mean()

    def log_density_ratio(self, logits: Tensor) -> Tensor:
        """log D / (1 - D), D kept within (0, 1) by 1e-6. Smoothed, D* = (1 - s) p / (p + q): log D / (1 - s - D)."""
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
        """At D* = sign(p - q) the loss is 2 (1 - TV)."""
        return 1 - self.discriminator(real, fake).mean() / 2

    def log_density_ratio(self, logits: Tensor) -> Tensor:
        """Raise `UserError`: the best logits are signs."""
        raise _no_ratio("hinge", "only which density is larger")


class Wasserstein(Objective):
    """Arjovsky et al. 2017, eq. 2 and 3. The critic must be kept 1-Lipschitz by a regularizer or by clipping."""

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
        """Raise `UserError`: a critic knows no densities."""
        raise _no_ratio("wasserstein", "its critic is a potential")


class RelativisticPairing(Objective):
    """Jolicoeur-Martineau 2019 (RpGAN), as Huang et al. 2024 (R3GAN, eq. 2) use it: real and generated in pairs.

    Only differences of logits matter: a constant added to all of them changes nothing.
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
        """log 2 - loss: 0 when the discriminator cannot tell, at most log 2."""
        return math.log(2) - self.discriminator(real, fake).mean()

    def log_density_ratio(self, logits: Tensor) -> Tensor:
        """Raise `UserError`: logits are known up to a constant only."""
        raise _no_ratio("relativistic", "only differences of its logits mean anything")


class _FDivergence(Objective):
    """The discriminator's half of f-GAN, Nowozin et al. 2016, eq. 6: it raises E_p g(V) - E_q f*(g(V)).

    `divergence`: which row of the paper's tables. `alpha` (any number but 0 and 1) is the parameter of `alpha` alone,
    and `pi` (the weight of the data, in (0, 1)) of `weighted_js` alone; both are 0.5 unless given.
    """

    def __init__(self, divergence: Name, alpha: float | None = None, pi: float | None = None) -> None:
        self.f = named(divergence, alpha, pi)
        self.measures = self.f.measures
        self.undecided = self.f.undecided

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return per_sample(self.f.composite(fake.float())) - per_sample(self.f.activation(real.float()))

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """D_f >= -loss, with equality where g(v) = f'(p / q)."""
        return -self.discriminator(real, fake).mean()

    def log_density_ratio(self, logits: Tensor) -> Tensor:
        return self.f.log_ratio(logits.float())


class FGAN(_FDivergence):
    """The saddle point of Nowozin et al. 2016, eq. 6: the generator lowers what the discriminator raises.

    With `divergence=gan` it is `Minimax`.
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -f*(g(v)) of the generated samples' logits, (N,)."""
        return -per_sample(self.f.composite(fake.float()))


class NonSaturatingFGAN(_FDivergence):
    """Nowozin et al. 2016, section 3.2: the generator raises E_q g(V). With `divergence=gan` it is `NonSaturating`."""

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return -g(v) of the generated samples' logits, (N,)."""
        return -per_sample(self.f.activation(fake.float()))
