"""A variational autoencoder whose likeness is judged by a discriminator's features: Larsen et al. 2016 (VAE/GAN).

Three networks, two players: encoder and decoder are the generator's. Who hears what (algorithm 1):

    encoder          KL + reconstruction
    decoder          gamma reconstruction + adversarial
    discriminator    adversarial
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.config.ranges import Dim, NonNegative, NonNegativeInt
from ganlab.core.adversarial import AdversarialModule, Terms
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition
from ganlab.errors import UserError
from ganlab.networks.architecture import Architecture, Perturbed
from ganlab.networks.encoder import GaussianCode
from ganlab.networks.heads import RealismLogit, accuracy
from ganlab.objectives import Objective
from ganlab.variants.autoencoder import reconstruction_error


class VAEGAN(AdversarialModule):
    """Pictures from codes: good ones for drawn codes, and the same ones again for a picture's own.

    Features are compared where the trunk's map is `detail` times as wide as its last; 1 takes what the trunk gives.
    Perturbations of what the discriminator sees stay out of it. `reconstruction_weight` is the paper's gamma, more
    than 0: how much the decoder heeds reconstruction beside the discriminator. Reconstructions and drawn pictures
    share the adversarial terms half and half, as in the authors' code.
    """

    generator: GaussianCode
    average: GaussianCode

    def __init__(
        self,
        spec: DataSpec,
        network: Architecture,
        objective: Objective,
        generator: Side,
        discriminator: Side,
        average: MovingAverage,
        latent_dim: Dim = 128,
        detail: NonNegativeInt = 2,
        reconstruction_weight: NonNegative = 1e-4,
    ) -> None:
        spec = replace(spec, kind="none")  # whatever the data could say, this model is told nothing
        decoder = network.generator(shape=spec.shape, code_dim=latent_dim)
        trunk = network.trunk(spec.shape)
        super().__init__(
            spec,
            GaussianCode(network.discriminator(shape=spec.shape), decoder, latent_dim),
            nn.Sequential(trunk, RealismLogit(trunk.feature_shape)),
            generator,
            discriminator,
            average,
            latent_dim,
        )
        if reconstruction_weight <= 0:
            raise UserError(
                f"`variant.reconstruction_weight` must be more than 0, got {reconstruction_weight}: recipe=vanilla "
                "reconstructs nothing"
            )
        self.objective, self.gamma = objective, reconstruction_weight
        self.layer = layer_of(unperturbed(trunk), (2 * network.pack, *spec.shape), detail)

    def generate(self, batch: Batch) -> Tensor:
        return self.generator.decoder(self.draw_latent(len(batch)))

    def discriminator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        with torch.no_grad():
            again = self.generator.decoder(self.generator.posterior(batch.images).draw())
        real = self.discriminator(batch.images)
        return {
            "realism": self.objective.discriminator(real, self.discriminator(fake)) / 2,
            "realism_again": self.objective.discriminator(real, self.discriminator(again)) / 2,
            **self.penalties("discriminator", batch, fake),
        }

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        posterior = self.generator.posterior(batch.images)
        code = posterior.draw()
        again = self.generator.decoder(code.detach())
        real = self.discriminator(batch.images) if self.objective.sees_reals else None
        return {
            "kl": posterior.kl(),
            "reconstruction": self._reconstruction(batch.images, code),
            "realism": self.objective.generator(self.discriminator(fake), real) / 2,
            "realism_again": self.objective.generator(self.discriminator(again), real) / 2,
            **self.penalties("generator", batch, fake),
        }

    def _reconstruction(self, images: Tensor, code: Tensor) -> Tensor:
        """(N,): gamma / 2 of the squared distance between features; the encoder hears it with 1 in place of gamma."""
        decoded = self.generator.decoder(heard(code, 1 / self.gamma))
        wanted, got = (self.features(pictures).float().flatten(1) for pictures in (images, decoded))
        return self.gamma * (got - wanted).square().sum(1) / 2

    def features(self, images: Tensor) -> Tensor:
        """What the discriminator's trunk makes of pictures by the chosen layer: (N, F, s, s)."""
        seen: list[Tensor] = []
        trunk = unperturbed(self.discriminator.get_submodule("0"))
        with trunk.get_submodule(self.layer).register_forward_hook(lambda module, given, made: seen.append(made)):
            trunk(images)
        return seen[0]

    def critic(self, images: Tensor, condition: Condition) -> Tensor:
        return self.discriminator(images)

    def report(self, batch: Batch) -> dict[str, Tensor]:
        real, fake = self.discriminator(batch.images), self.discriminator(self.generate(batch))
        return {
            "divergence": self.objective.divergence(real, fake),
            "realism_accuracy": accuracy(real, fake, self.objective.undecided),
            "reconstruction_error": reconstruction_error(self.average, batch.images.float()),
            "kl": self.average.posterior(batch.images.float()).kl().mean(),
        }

    @torch.no_grad()
    def sample(self, latent: Tensor, condition: Condition = None) -> Tensor:
        return self.average.decoder(latent)


def unperturbed(trunk: nn.Module) -> nn.Module:
    """The trunk without what a recipe lets the discriminator see pictures through."""
    return trunk.trunk if isinstance(trunk, Perturbed) else trunk


def layer_of(trunk: nn.Module, shape: Sequence[int], detail: int) -> str:
    """The name of the trunk's last block whose map is `detail` times as wide as the trunk's own; empty for the trunk.

    shape: of a batch, (N, C, H, W) or (N, D), which a copy without memory is shown. `UserError` if there is none.
    """
    maps: dict[str, int] = {}
    twin = copy.deepcopy(trunk).to("meta").eval()
    for name, part in twin.named_modules():
        part.register_forward_hook(partial(_note, maps, name))
    twin(torch.empty(*shape, device="meta"))
    wanted = [name for name, side in maps.items() if side == detail * maps[""]]
    if not wanted:
        there = sorted({side // maps[""] for side in maps.values() if side % maps[""] == 0})
        raise UserError(f"`variant.detail` must be one of {', '.join(map(str, there))} with this network, got {detail}")
    return min(reversed(wanted), key=lambda name: name.count("."))  # a whole block before a part of the next


def _note(maps: dict[str, int], name: str, part: nn.Module, given: Any, made: Any) -> None:
    """The side of a map that a part makes, in the order in which they are done."""
    if isinstance(made, Tensor) and made.dim() == 4:
        maps[name] = made.shape[-1]


def heard(x: Tensor, loudness: float) -> Tensor:
    """x itself; gradients come back through it `loudness` times as large."""
    x = x.view_as(x)
    if x.requires_grad:
        x.register_hook(lambda gradient: gradient * loudness)
    return x
