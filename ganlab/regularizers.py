"""Penalties that a side adds to its loss to stabilize training. Plain torch.

A regularizer is a term: (critic, batch, fake, iteration) -> (N,), already weighted. `every` makes it lazy (Karras et
al. 2020, section 4.1): it is computed once in `every` iterations, and multiplied by `every`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.config.ranges import NonNegative, PositiveInt, ProperFraction
from ganlab.data.batch import Batch, Condition, Fake, at_least_float32, one_a_sample
from ganlab.errors import UserError
from ganlab.networks.fastgan import Decoder, Trunk
from ganlab.networks.styles import Styles
from ganlab.processes import average_across_processes
from ganlab.schedules import Schedule, value

Critic = Callable[[Tensor, Condition], Tensor]
"""Images (N, ...) and their condition -> (N,): the discriminator's logits, summed if there are several."""


def squared_gradient_norm(critic: Critic, images: Tensor, condition: Condition) -> Tensor:
    """Return (N,): the squared Euclidean norm of the critic's gradient at each image, over the whole image."""
    images = images.detach().requires_grad_(True)
    with torch.enable_grad():
        total = at_least_float32(critic(images, condition)).sum()
        (gradient,) = torch.autograd.grad(total, images, create_graph=True)
    return at_least_float32(gradient).flatten(1).square().sum(1)


class Regularizer(ABC):
    """A penalty with a weight, or a schedule of weights, that is due on iterations 0, `every`, 2 `every`, ..."""

    differentiates: ClassVar[bool] = True
    """True if the penalty needs the gradient of each image alone. Batch normalization would mix the gradients."""
    needs_condition: ClassVar[bool] = False
    """True if the penalty compares a real and a generated image of the same condition."""

    def __init__(self, weight: NonNegative | Schedule, every: PositiveInt = 1) -> None:
        if value(weight, 0) < 0 or every < 1:
            raise ValueError(f"a penalty needs `weight` >= 0 and `every` >= 1, got {weight} and {every}")
        self.weight = weight
        self.every = every

    def start(self, network: nn.Module) -> None:  # noqa: B027  # most need no network
        """Prepare for training. It is called once, with the network of the penalized side."""

    def due(self, iteration: int) -> bool:
        """Return whether the penalty is added on this iteration."""
        return iteration % self.every == 0

    def __call__(self, critic: Critic, batch: Batch, fake: Fake, iteration: int = 0) -> Tensor:
        """Return (N,): weight x every x penalty. Raise `UserError` if the penalty is not one number a sample."""
        penalty = one_a_sample(self.penalty(critic, batch, fake), f"the result of `{type(self).__name__}.penalty`")
        return value(self.weight, iteration) * self.every * penalty

    @abstractmethod
    def penalty(self, critic: Critic, batch: Batch, fake: Fake) -> Tensor:
        """Return (N,): the penalty of the paper's formula at weight 1."""


class R1(Regularizer):
    """gamma / 2 ||grad D(x)||^2 at real images. Mescheder et al. 2018, eq. 9. `weight` is gamma."""

    def penalty(self, critic: Critic, batch: Batch, fake: Fake) -> Tensor:
        """Return half the squared gradient norm at real images, (N,)."""
        return squared_gradient_norm(critic, batch.images, batch.condition) / 2


class R2(Regularizer):
    """gamma / 2 ||grad D(x)||^2 at generated images. Mescheder et al. 2018, eq. 10. `weight` is gamma."""

    def penalty(self, critic: Critic, batch: Batch, fake: Fake) -> Tensor:
        """Return half the squared gradient norm at generated images, (N,)."""
        return squared_gradient_norm(critic, fake.images, batch.condition) / 2


def gradient_norm(critic: Critic, images: Tensor, condition: Condition) -> Tensor:
    """Return (N,): the Euclidean norm of the critic's gradient at each image, over the whole image; at least 1e-6."""
    return (squared_gradient_norm(critic, images, condition) + 1e-12).sqrt()  # whose own gradient is infinite at zero


def _between(start: Tensor, end: Tensor) -> Tensor:
    """Return one random point on the line between the images of each pair. One share is drawn for each sample."""
    share = torch.rand(len(start), *[1] * (start.dim() - 1), device=start.device, dtype=start.dtype)
    return torch.lerp(start.detach(), end.detach().to(start.dtype), share)


class GradientPenalty(Regularizer):
    """lambda (||grad D(x)|| - 1)^2 between real and generated images. Gulrajani et al. 2017, eq. 3; lambda 10."""

    def penalty(self, critic: Critic, batch: Batch, fake: Fake) -> Tensor:
        """Return (norm - 1)^2 at points between real and generated images, (N,)."""
        return (gradient_norm(critic, _between(batch.images, fake.images), batch.condition) - 1) ** 2


class OneSidedGradientPenalty(Regularizer):
    """lambda max(0, ||grad D(x)|| - 1)^2: only norms above 1 are penalized. Petzka et al. 2018 (WGAN-LP), eq. 8."""

    def penalty(self, critic: Critic, batch: Batch, fake: Fake) -> Tensor:
        """Return max(0, norm - 1)^2 at points between real and generated images, (N,)."""
        return (gradient_norm(critic, _between(batch.images, fake.images), batch.condition) - 1).clamp_min(0) ** 2


class DRAGAN(Regularizer):
    """lambda (||grad D(x + delta)|| - k)^2 around real images: Kodali et al. 2017. lambda 10, k 1.

    In the paper delta ~ N(0, c I). This class follows the authors' code: delta = a 0.5 std u, with u ~ U[0, 1) for each
    pixel, a ~ U[0, 1) for each sample, and the standard deviation over the whole batch. u is never negative, so images
    become brighter as well as noisy.
    """

    def __init__(self, weight: NonNegative = 10.0, every: PositiveInt = 1, k: NonNegative = 1.0) -> None:
        super().__init__(weight, every)
        self.k = k

    def penalty(self, critic: Critic, batch: Batch, fake: Fake) -> Tensor:
        """Return (norm - k)^2 at points around real images, (N,)."""
        real = batch.images
        noisy = real + 0.5 * real.std(correction=0) * torch.rand_like(real)
        return (gradient_norm(critic, _between(real, noisy), batch.condition) - self.k) ** 2


class LeCam(Regularizer, nn.Module):
    """lambda ((D(x) - a_F)^2 + (D(G(z)) - a_R)^2): Tseng et al. 2021. lambda 0.3 for hinge logits.

    a_R and a_F are moving averages of the mean logit of real and of generated images. They include the current batch,
    without the bias of a start at zero, as in the authors' code. That code also counts only positive parts, D(x) - a_F
    and a_R - D(G(z)). This class follows the formula, which is the same while real logits are above the average of
    generated ones.

    It is a module, so checkpoints contain the averages. With several processes the means are over all of them. The
    authors' code starts the penalty after 1,000 iterations (`start_itr`); this class starts it at once.
    """

    anchors: Tensor
    calls: Tensor
    differentiates: ClassVar[bool] = False

    def __init__(self, weight: NonNegative = 0.3, every: PositiveInt = 1, decay: ProperFraction = 0.99) -> None:
        nn.Module.__init__(self)
        Regularizer.__init__(self, weight, every)
        if not 0 <= decay < 1:
            raise ValueError(f"LeCam needs `decay` of at least 0 and below 1, got {decay}")
        self.decay = decay
        self.register_buffer("anchors", torch.zeros(2))  # of real and of generated images
        self.register_buffer("calls", torch.tensor(0))

    def penalty(self, critic: Critic, batch: Batch, fake: Fake) -> Tensor:
        """Return the squared distances of the logits from the average of the other kind, (N,). Update the averages."""
        both = (batch.images.detach(), fake.images.detach())
        judged = torch.stack([at_least_float32(critic(images, batch.condition)) for images in both])
        means = judged.detach().mean(1)
        average_across_processes([means])
        self._remember(means)
        return (judged - self.anchors.flip(0)[:, None]).square().sum(0)

    def _remember(self, means: Tensor) -> None:
        self.calls += 1
        share = (1 - self.decay) / (1 - self.decay ** self.calls.to(self.anchors.dtype))  # 1 on the first call
        self.anchors.lerp_(means.to(self.anchors.dtype), share)


class PathLength(Regularizer, nn.Module):
    """(||J^T y|| - a)^2, J the Jacobian of the picture in its style: Karras et al. 2020, eq. 4.

    It is a penalty of the generator. y ~ N(0, 1 / pixels) for each number of the picture. The squared norm is a mean
    over the layers that use the style. a is the moving average of the lengths, in which the mean of each call has the
    weight `decay`. With several processes the mean is over all of them. The paper's code uses `weight` 2 every 4
    iterations. Raise `UserError` if the generator has no styles.
    """

    average: Tensor

    def __init__(self, weight: float = 2.0, every: int = 4, decay: float = 0.01) -> None:
        nn.Module.__init__(self)
        Regularizer.__init__(self, weight, every)
        if not 0 < decay <= 1:
            raise ValueError(f"a path length needs `decay` above 0 and at most 1, got {decay}")
        self.decay = decay
        self.register_buffer("average", torch.tensor(0.0))
        self._styles: list[Tensor] = []

    def start(self, network: nn.Module) -> None:
        """Register a hook that stores the styles of the generator's last pass."""
        mappings = [part for part in network.modules() if isinstance(part, Styles)]
        if not mappings:
            raise UserError(
                "`generator.regularizers.path_length` needs a generator with styles: pass network=stylegan2"
            )
        last = self._styles
        for mapping in mappings:
            mapping.register_forward_hook(lambda module, given, styles: last.__setitem__(slice(None), [styles]))

    def penalty(self, critic: Critic, batch: Batch, fake: Fake) -> Tensor:
        """Return the squared distance of the path lengths from their average, (N,). Update the average."""
        lengths = path_lengths(fake.images, self._styles[0])
        mean = lengths.detach().mean()
        average_across_processes([mean])
        self.average.lerp_(mean.to(self.average), self.decay)
        return (lengths - self.average).square()


def path_lengths(images: Tensor, styles: Tensor) -> Tensor:
    """Return (N,): ||J^T y|| for a random y. images: (N, C, H, W), made from styles (N, layers, style_dim)."""
    noise = torch.randn_like(images) / (images.shape[2] * images.shape[3]) ** 0.5
    (gradient,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
    return (at_least_float32(gradient).square().sum(2).mean(1) + 1e-12).sqrt()  # whose own gradient is infinite at zero


class Reconstruction(Regularizer):
    """mean |T(x) - decoder(features of x)| at real images: FastGAN's auxiliary task, Liu et al. 2021, eq. 2.

    T reduces a picture to a quarter of its sides. The paper compares features of a perceptual network and also decodes
    crops; here pixels of whole pictures are compared. The decoder becomes part of the discriminator and learns with it.
    Raise `UserError` if the discriminator does not contain FastGAN's trunk.
    """

    differentiates: ClassVar[bool] = False

    def start(self, network: nn.Module) -> None:
        """Add a decoder to the trunk. The trunk's features do not depend on it."""
        trunks = [part for part in network.modules() if isinstance(part, Trunk)]
        if not trunks:
            raise UserError("`discriminator.regularizers.reconstruction` needs FastGAN's trunk: pass network=fastgan")
        trunk = trunks[0]
        trunk.decoder = Decoder(trunk)
        self.autoencoder = nn.Sequential(trunk, trunk.decoder)

    def penalty(self, critic: Critic, batch: Batch, fake: Fake) -> Tensor:
        """Return the mean distance of the decoded images from shrunk real ones, (N,)."""
        real = batch.images
        return (self.autoencoder(real) - F.avg_pool2d(real, 4)).abs().flatten(1).mean(1)


class L1Distance(Regularizer):
    """lambda mean |x - G(z, c)|, x the only real picture with the condition c: Isola et al. 2017, eq. 3.

    It is a penalty of the generator. For conditions of several pictures, such as classes, it is 0: its minimum would be
    the median of these pictures, a blur.
    """

    differentiates: ClassVar[bool] = False
    needs_condition: ClassVar[bool] = True

    def penalty(self, critic: Critic, batch: Batch, fake: Fake) -> Tensor:
        """Return the mean distance of the pixels from those of the real pictures, in units of [-1, 1]: (N,)."""
        distances = at_least_float32(batch.images - fake.images).abs().flatten(1).mean(1)
        return distances if batch.alone is None else distances * batch.alone
