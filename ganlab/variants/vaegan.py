"""A variational autoencoder whose reconstruction error is measured in a discriminator's features.

Larsen et al. 2016 (VAE/GAN). Three networks, two players: encoder and decoder belong to the generator's player. Each
network minimizes (algorithm 1):

    encoder        KL + reconstruction
    decoder        gamma reconstruction + adversarial
    discriminator  adversarial
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.config.ranges import Dim, NonNegative, NonNegativeInt
from ganlab.core.adversarial import AdversarialModule, Fake, Terms
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition
from ganlab.errors import UserError
from ganlab.networks.architecture import Architecture, Perturbed
from ganlab.networks.encoder import GaussianCode
from ganlab.networks.scales import one_logit
from ganlab.objectives import Objective
from ganlab.variants.autoencoder import reconstruction_error


class VAEGAN(AdversarialModule):
    """An autoencoder whose decoder must also convince a discriminator.

    detail: features are compared at the layer whose map is `detail` times as wide as the trunk's last; 1 uses the
    trunk's output. Perturbations of the discriminator's input do not apply to this comparison. reconstruction_weight:
    the paper's gamma, more than 0, the weight of reconstruction in the decoder's loss. Reconstructions and drawn
    pictures each have half of the adversarial terms, as in the authors' code.
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
        decoder = network.generator(shape=spec.shape, code_dim=latent_dim)
        trunk = network.trunk(spec.shape)
        coder = GaussianCode(network.discriminator(shape=spec.shape), decoder, latent_dim)
        judge = one_logit(trunk)
        super().__init__(spec.unconditional(), coder, judge, objective, generator, discriminator, average, latent_dim)
        if reconstruction_weight <= 0:
            raise UserError(
                f"`variant.reconstruction_weight` must be more than 0, got {reconstruction_weight}: recipe=vanilla "
                "reconstructs nothing"
            )
        self.gamma = reconstruction_weight
        self.layer = layer_of(unperturbed(trunk), (2 * network.pack, *spec.shape), detail)

    def synthesize(self, network: nn.Module, latent: Tensor, condition: Condition) -> Tensor:
        """Return the decoder's images of drawn codes."""
        return network.get_submodule("decoder")(latent)

    def discriminator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the objective against drawn images and against reconstructions, half each."""
        with torch.no_grad():
            again = self.generator.decoder(self.generator.posterior(batch.images).draw())
        real = self.discriminator(batch.images)
        return {
            "realism": self.objective.discriminator(real, self.discriminator(fake.images)) / 2,
            "realism_again": self.objective.discriminator(real, self.discriminator(again)) / 2,
        }

    def generator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the variational terms, and the objective for drawn images and for reconstructions, half each."""
        posterior = self.generator.posterior(batch.images)
        code = posterior.draw()
        again = self.generator.decoder(code.detach())
        real = self.reals_to_compare(batch)
        return {
            "kl": posterior.kl(),
            "reconstruction": self._reconstruction(batch.images, code),
            "realism": self.objective.generator(self.discriminator(fake.images), real) / 2,
            "realism_again": self.objective.generator(self.discriminator(again), real) / 2,
        }

    def _reconstruction(self, images: Tensor, code: Tensor) -> Tensor:
        """Return gamma / 2 of the squared distance between features, (N,). For the encoder's gradient gamma is 1."""
        decoded = self.generator.decoder(heard(code, 1 / self.gamma))
        wanted, got = (self.features(pictures).float().flatten(1) for pictures in (images, decoded))
        return self.gamma * (got - wanted).square().sum(1) / 2

    def features(self, images: Tensor) -> Tensor:
        """Return the features (N, F, s, s) of images at the chosen layer of the discriminator's trunk."""
        seen: list[Tensor] = []
        trunk = unperturbed(self.discriminator.get_submodule("0"))
        with trunk.get_submodule(self.layer).register_forward_hook(lambda module, given, made: seen.append(made)):
            trunk(images)
        return seen[0]

    def report(self, batch: Batch) -> dict[str, Tensor]:
        """Return the game's report, the squared error of reconstructions, and the KL divergence of codes in nats."""
        return {
            **super().report(batch),
            "reconstruction_error": reconstruction_error(self.average, batch.images.float()),
            "kl": self.average.posterior(batch.images.float()).kl().mean(),
        }


def unperturbed(trunk: nn.Module) -> nn.Module:
    """Return the trunk without the perturbations around it."""
    return trunk.trunk if isinstance(trunk, Perturbed) else trunk


def layer_of(trunk: nn.Module, shape: Sequence[int], detail: int) -> str:
    """Return the name of the trunk's last block whose map is `detail` times as wide as the trunk's; "" for the trunk.

    shape: of a batch, (N, C, H, W) or (N, D). The trial uses a copy on the meta device. Raise `UserError` if there is
    no such block.
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
    """Record the side of the map that a part returns, in the order of computation."""
    if isinstance(made, Tensor) and made.dim() == 4:
        maps[name] = made.shape[-1]


def heard(x: Tensor, loudness: float) -> Tensor:
    """Return x, and multiply gradients that flow back through it by `loudness`."""
    x = x.view_as(x)
    if x.requires_grad:
        x.register_hook(lambda gradient: gradient * loudness)
    return x
