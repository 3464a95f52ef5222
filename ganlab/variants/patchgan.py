"""Image-to-image translation: a U-Net on an input picture, and a discriminator of patches. Isola et al. 2017."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganlab.config.ranges import NonNegative
from ganlab.core.adversarial import AdversarialModule, Fake, Terms
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition
from ganlab.errors import UserError
from ganlab.networks.architecture import Architecture
from ganlab.networks.logits import accuracy
from ganlab.objectives import Objective, per_sample

SLOWER = 0.5  # of the discriminator's loss, "which slows down the rate at which D learns relative to G" (section 3.3)


def together(scales: Sequence[Tensor]) -> Tensor:
    """Return the sum over scales of values (N,): Wang et al. 2018, eq. 3."""
    return torch.stack(list(scales)).sum(0)


def check_alone(network: Architecture) -> None:
    """Raise `UserError` if the discriminator would judge several images together."""
    if network.pack > 1 or network.minibatch_deviation:
        raise UserError(
            f"`pack` must be 1 and `minibatch_deviation` 0 with patches, got {network.pack} and "
            f"{network.minibatch_deviation}: each patch is judged with its own input"
        )


class PatchGAN(AdversarialModule):
    """min_G max_D of the conditional game, summed over scales, averaged over patches, + `l1_weight` E|y - G(x, z)|.

    Both networks get the input picture x. The discriminator gets it beside y, or beside G(x, z), as further channels.
    The noise z is dropout, also in sampling, and the latent is the dropout mask (`networks.unet`). realism_weight: the
    weight of the generator's adversarial term; with 0 only the L1 distance is left.
    """

    reads: ClassVar[str | None] = "image"
    needs_features: ClassVar[bool] = False

    def __init__(
        self,
        spec: DataSpec,
        network: Architecture,
        objective: Objective,
        generator: Side,
        discriminator: Side,
        average: MovingAverage,
        l1_weight: NonNegative = 100.0,
        realism_weight: NonNegative = 1.0,
    ) -> None:
        spec.check_kind("image")
        check_alone(network)
        channels, *sides = spec.shape
        painter: Any = network.generator(shape=spec.shape)
        trunk = network.trunk((2 * channels, *sides), features=False)
        super().__init__(spec, painter, trunk, objective, generator, discriminator, average, painter.latent_dim)
        self.l1_weight, self.realism_weight = l1_weight, realism_weight

    def synthesize(self, network: nn.Module, latent: Tensor, condition: Condition) -> Tensor:
        """Return the images for input pictures (N, *shape); the latent is the dropout mask."""
        return network(condition, latent)

    def discriminator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the objective between reals and generated images, halved."""
        images = batch.images, fake.images
        judged = zip(*(self._judged(each, batch.condition) for each in images), strict=True)
        return {"realism": SLOWER * together([self.objective.discriminator(*pair) for pair in judged])}

    def generator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the objective of the generated images' logits, and the L1 distance from the real images."""
        generated = self._judged(fake.images, batch.condition)
        real = self._judged(batch.images, batch.condition) if self.objective.sees_reals else [None] * len(generated)
        loss = together([self.objective.generator(*pair) for pair in zip(generated, real, strict=True)])
        distance = self.l1_weight * per_sample((batch.images - fake.images).abs())
        return {"realism": self.realism_weight * loss, "l1": distance}

    def critic(self, images: Tensor, condition: Condition) -> Tensor:
        """Return each image's mean logit over patches, as in the loss, summed over scales: (N,)."""
        return together([per_sample(logits) for logits in self._judged(images, condition)])

    def report(self, batch: Batch) -> dict[str, Tensor]:
        """Return the divergence and the accuracy of patches, each a mean over scales, and the L1 distance in [0, 2]."""
        drawn, edge = self.generate(batch).images, self.objective.undecided
        judged = [self._judged(images, batch.condition) for images in (batch.images, drawn)]
        pairs = list(zip(*judged, strict=True))
        return {
            "divergence": torch.stack([self.objective.divergence(*pair) for pair in pairs]).mean(),
            "realism_accuracy": torch.stack([accuracy(real, fake, edge) for real, fake in pairs]).mean(),
            "l1": (batch.images - drawn).abs().mean(),
        }

    def _judged(self, images: Tensor, condition: Condition) -> list[Tensor]:
        """Return each scale's logits (N, 1, h, w) for images beside their input pictures."""
        assert isinstance(condition, Tensor)
        return self.discriminator(torch.cat([condition, images], 1))
