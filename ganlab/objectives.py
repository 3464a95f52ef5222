"""What the two sides of the game minimise, given logits.

Both halves of an objective live in one class, so that they cannot be mixed up. Logits are (N, ...): a patch
discriminator has several a picture, and a picture's loss is the mean over them. Losses are per sample, (N,).
Plain torch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import relu, softplus


def per_sample(values: Tensor) -> Tensor:
    """(N, ...) -> (N,): the mean over everything that belongs to one sample, in float32."""
    return values.float().flatten(1).mean(1) if values.dim() > 1 else values.float()


class Objective(ABC):
    """Two losses, and the divergence between data and model that the discriminator measures while it plays."""

    measures: ClassVar[str]
    """What `divergence` estimates, with its unit."""
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


class _Logistic(Objective):
    """The discriminator's half of Goodfellow et al. 2014, eq. 1: binary cross-entropy."""

    measures = "Jensen-Shannon divergence (nats)"

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return per_sample(softplus(-real.float())) + per_sample(softplus(fake.float()))

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """JSD >= log 2 - (cross-entropy) / 2, at most log 2 = 0.6931."""
        return math.log(2) - self.discriminator(real, fake).mean() / 2


class Minimax(_Logistic):
    """The zero-sum game of Goodfellow et al. 2014, eq. 1: the generator minimises log(1 - D(G(z))).

    Its gradient vanishes when the discriminator is sure: |d loss / d logit| = sigmoid(logit).
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -per_sample(softplus(fake.float()))


class NonSaturating(_Logistic):
    """Goodfellow et al. 2014, section 3: the generator minimises -log D(G(z)). |d loss / d logit| = sigmoid(-logit)."""

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return per_sample(softplus(-fake.float()))


class LeastSquares(Objective):
    """Mao et al. 2017 (LSGAN), eq. 9, with targets 1 for real and 0 for generated."""

    measures = "Le Cam divergence (0 to 1)"

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return (per_sample((real.float() - 1) ** 2) + per_sample(fake.float() ** 2)) / 2

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return per_sample((fake.float() - 1) ** 2) / 2

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """At D* = p / (p + q) the loss is half the integral of pq / (p + q), and 1 - 4 loss is Le Cam's divergence."""
        return 1 - 4 * self.discriminator(real, fake).mean()


class Hinge(Objective):
    """Lim and Ye 2017, Miyato et al. 2018 (eq. 16 and 17)."""

    measures = "total variation (0 to 1)"

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return per_sample(relu(1 - real.float())) + per_sample(relu(1 + fake.float()))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -per_sample(fake)

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """At D* = sign(p - q) the loss is 2 (1 - TV)."""
        return 1 - self.discriminator(real, fake).mean() / 2


class Wasserstein(Objective):
    """Arjovsky et al. 2017, eq. 2 and 3. The critic must be kept 1-Lipschitz by a regularizer or by clipping."""

    measures = "Wasserstein-1 distance (times the critic's Lipschitz constant)"

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return per_sample(fake) - per_sample(real)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -per_sample(fake)

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        return -self.discriminator(real, fake).mean()


class RelativisticPairing(Objective):
    """Jolicoeur-Martineau 2019 (RpGAN), as Huang et al. 2024 (R3GAN, eq. 2) use it: real and generated in pairs.

    Only differences of logits matter: a constant added to all of them changes nothing.
    """

    measures = "relativistic logistic divergence (nats)"
    sees_reals = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return per_sample(softplus(fake.float() - real.float()))

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        if real is None:
            raise ValueError("RelativisticPairing.generator needs `real`, the logits of real samples")
        return per_sample(softplus(real.float() - fake.float()))

    def divergence(self, real: Tensor, fake: Tensor) -> Tensor:
        """log 2 - loss: 0 when the discriminator cannot tell, at most log 2."""
        return math.log(2) - self.discriminator(real, fake).mean()
