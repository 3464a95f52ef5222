"""Penalties that a side adds to its loss to keep the game well behaved.

A regularizer is a term: (critic, real, fake, condition) -> (N,), already weighted. `every` makes it lazy (Karras et
al. 2020, section 4.1): computed on every so many iterations, and then that many times as heavy. Plain torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from ganlab.batch import Condition

Critic = Callable[[Tensor, Condition], Tensor]
"""Images (N, ...) and their condition -> (N,): the discriminator's logits, summed where it has several."""


def squared_gradient_norm(critic: Critic, images: Tensor, condition: Condition) -> Tensor:
    """(N,): the squared Euclidean norm, over a whole image, of the critic's gradient at that image."""
    images = images.detach().requires_grad_(True)
    with torch.enable_grad():
        total = critic(images, condition).float().sum()
        (gradient,) = torch.autograd.grad(total, images, create_graph=True)
    return gradient.float().flatten(1).square().sum(1)


class Regularizer(ABC):
    """A penalty with a weight, due on iterations 0, `every`, 2 `every`, ..."""

    def __init__(self, weight: float, every: int = 1) -> None:
        if weight < 0 or every < 1:
            raise ValueError(f"a penalty needs `weight` >= 0 and `every` >= 1, got {weight} and {every}")
        self.weight = weight
        self.every = every

    def due(self, iteration: int) -> bool:
        return iteration % self.every == 0

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, condition: Condition) -> Tensor:
        """(N,): weight x every x penalty."""
        return self.weight * self.every * self.penalty(critic, real, fake, condition)

    @abstractmethod
    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, condition: Condition) -> Tensor:
        """(N,): the penalty of the paper's formula at weight 1."""


class R1(Regularizer):
    """gamma / 2 ||grad D(x)||^2 at real images. Mescheder et al. 2018, eq. 9. `weight` is gamma."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, condition: Condition) -> Tensor:
        return squared_gradient_norm(critic, real, condition) / 2


class R2(Regularizer):
    """gamma / 2 ||grad D(x)||^2 at generated images. Mescheder et al. 2018, eq. 10. `weight` is gamma."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, condition: Condition) -> Tensor:
        return squared_gradient_norm(critic, fake, condition) / 2


def _between(real: Tensor, fake: Tensor) -> Tensor:
    """One random point on each line from a real to a generated image: one share per sample, not per pixel."""
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    return torch.lerp(real, fake.to(real.dtype), share)


class GradientPenalty(Regularizer):
    """lambda (||grad D(x)|| - 1)^2 between real and generated images. Gulrajani et al. 2017, eq. 3. 10 for images."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, condition: Condition) -> Tensor:
        return (_norm_between(critic, real, fake, condition) - 1) ** 2


class OneSidedGradientPenalty(Regularizer):
    """lambda max(0, ||grad D(x)|| - 1)^2: only slopes over 1 cost. Petzka et al. 2018 (WGAN-LP), eq. 8."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, condition: Condition) -> Tensor:
        return (_norm_between(critic, real, fake, condition) - 1).clamp_min(0) ** 2


def _norm_between(critic: Critic, real: Tensor, fake: Tensor, condition: Condition) -> Tensor:
    squared = squared_gradient_norm(critic, _between(real.detach(), fake.detach()), condition)
    return (squared + 1e-12).sqrt()  # the root's own gradient is infinite at zero
