"""The adversarial game: a generator and a discriminator that take turns.

A variant subclasses `AdversarialModule` and defines each side's terms per sample. If it differs from the simplest game,
it also defines how a latent becomes an image and how the discriminator's logits are read. This file has the order of
turns, the freezing of the other side, the penalties, and the division of a batch into parts.

An iteration is one batch from the loader: the discriminator's turns, each on its own real images, then the generator's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from ganlab.core.averaging import MovingAverage
from ganlab.core.generative import GenerativeModule, Terms, eagerly
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition, Fake, at_least_float32, shape_or_type
from ganlab.errors import UserError
from ganlab.networks.logits import accuracy
from ganlab.networks.players import network_of
from ganlab.networks.scales import verdict
from ganlab.objectives import Objective
from ganlab.perturbations import Perturbation

__all__ = ["AdversarialModule", "Fake", "Terms"]


class AdversarialModule(GenerativeModule, ABC):
    """A generator and a discriminator that alternate. Abstract: a variant defines both sides' terms."""

    discriminator: nn.Module

    def __init__(
        self,
        spec: DataSpec,
        generator_network: nn.Module,
        discriminator_network: nn.Module,
        objective: Objective,
        generator: Side,
        discriminator: Side,
        average: MovingAverage,
        latent_dim: int,
    ) -> None:
        players = {"discriminator": (discriminator_network, discriminator), "generator": (generator_network, generator)}
        super().__init__(spec, players, average, latent_dim)
        self.objective = objective
        self._perturbations = [part for part in discriminator_network.modules() if isinstance(part, Perturbation)]

    # What a variant defines ----------------------------------------------------------------------------------------

    @abstractmethod
    def discriminator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the terms that the discriminator minimizes, each (N,). `fake` carries no graph."""

    @abstractmethod
    def generator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the terms that the generator minimizes, each (N,). The discriminator is frozen."""

    # What a variant may replace ------------------------------------------------------------------------------------

    def generate(self, batch: Batch) -> Fake:
        """Return the current generator's images for fresh latents and the batch's conditions, with their latents."""
        latent = self.draw_latent(len(batch))
        images = self.synthesize(self.generator, latent, batch.condition)
        if not isinstance(images, Tensor) or images.shape != (len(batch), *self.spec.shape):
            network = type(network_of(self.generator)[1]).__name__
            raise UserError(
                f"`network.generator` {network} makes {shape_or_type(images)} in `{type(self).__name__}.synthesize`, "
                f"and images of this data are (N, {', '.join(map(str, self.spec.shape))}): the network's forward, and "
                "`synthesize`, must return a tensor of that shape"
            )
        return Fake(images, latent)

    def critic(self, images: Tensor, condition: Condition) -> Tensor:
        """Return the logits that tell real from generated, summed: (N,). Gradient penalties differentiate them.

        For a discriminator of several scales it is their mean.
        """
        return verdict(self.discriminator(images))

    def logits(self, images: Tensor, condition: Condition) -> dict[str, Tensor]:
        """Return the discriminator's logits by question, each (N,). See `ganlab.networks.heads` for the questions."""
        return {"realism": self.critic(images, condition)}

    def report(self, batch: Batch) -> dict[str, Tensor]:
        """Return the divergence that the critic estimates, and the share of images that it classifies correctly."""
        real, fake = (self.critic(x, batch.condition) for x in (batch.images, self.generate(batch).images))
        return {
            "divergence": self.objective.divergence(real, fake),
            "realism_accuracy": accuracy(real, fake, self.objective.undecided),
        }

    # What a variant may use ----------------------------------------------------------------------------------------

    def reals_to_compare(self, batch: Batch) -> Tensor | None:
        """Return the discriminator's logits of the reals if the generator's objective compares with them, else None."""
        return self.discriminator(batch.images) if self.objective.sees_reals else None

    def penalties(self, side: str, batch: Batch, fake: Fake) -> Terms:
        """Return the side's regularizers that are due on this iteration, each (N,). Every turn adds them."""
        due = {name: one for name, one in self.sides[side].regularizers.items() if one.due(self.iteration)}
        if not due:
            return {}
        self._lending.hold(map(self.player, self.sides))
        with ExitStack() as stack:
            stack.enter_context(eagerly())
            if self.sides[side].penalty_precision == "float32":
                stack.enter_context(torch.autocast(self.device.type, enabled=False))
                fake = Fake(at_least_float32(fake.images), fake.latent)
            return {name: one(self.critic, batch, fake, self.iteration) for name, one in due.items()}

    def held_out_logits(self, train: Batch, held_out: Batch, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the critic's logits (N,) of training images, of held-out images and of generated ones.

        The generated images have the conditions of the held-out ones. The state of the run stays unchanged (see
        `evaluating`).
        """
        with self.evaluating(seed):
            train, held_out = (batch.to(self.device).ready() for batch in (train, held_out))
            real, other = (self.critic(batch.images, batch.condition) for batch in (train, held_out))
            return real, other, self.critic(self.generate(held_out).images, held_out.condition)

    # One iteration -------------------------------------------------------------------------------------------------

    def take_turns(self, batch: Batch) -> None:
        """Play one iteration: the discriminator's turns on equal parts of the batch, then the generator's."""
        reals = batch.chunk(self.sides["discriminator"].turns)
        if self._shares_forward:
            self._turns_sharing_a_forward(reals[0])
        else:
            self._turns_apart(reals)
        self._advance_perturbations(reals[-1], self.images_seen + len(batch) * self.trainer.world_size)

    @property
    def _shares_forward(self) -> bool:
        """Return whether both sides may use the same generated images: one turn each, in one part."""
        return self.sides["generator"].share_images and all(
            side.turns == 1 and side.accumulate == 1 for side in self.sides.values()
        )

    def _turns_sharing_a_forward(self, batch: Batch) -> None:
        fake = self.generate(batch)
        with self.members("generator").frozen():
            self._backward_discriminator(batch, fake.detach())
            self.step("discriminator")
        with self.members("discriminator").frozen():
            self._backward_generator(batch, fake)
            self.step("generator")

    def _turns_apart(self, reals: list[Batch]) -> None:
        for batch in reals:
            with self.members("generator").frozen():
                self._discriminator_turn(batch.chunk(self.sides["discriminator"].accumulate))
        for _ in range(self.sides["generator"].turns):
            with self.members("discriminator").frozen():
                self._generator_turn(reals[-1].chunk(self.sides["generator"].accumulate))

    def _discriminator_turn(self, parts: list[Batch]) -> None:
        for part in parts:
            with torch.no_grad():
                fake = self.generate(part)
            self._backward_discriminator(part, fake, len(parts))
        self.step("discriminator")

    def _generator_turn(self, parts: list[Batch]) -> None:
        for part in parts:
            self._backward_generator(part, self.generate(part), len(parts))
        self.step("generator")

    def _backward_discriminator(self, batch: Batch, fake: Fake, parts: int = 1) -> None:
        self._backward_side("discriminator", self.discriminator_terms(batch, fake), batch, fake, parts)

    def _backward_generator(self, batch: Batch, fake: Fake, parts: int = 1) -> None:
        self._backward_side("generator", self.generator_terms(batch, fake), batch, fake, parts)

    def _backward_side(self, side: str, terms: Terms, batch: Batch, fake: Fake, parts: int) -> None:
        if not isinstance(terms, Mapping) or not terms:
            raise UserError(
                f"`{type(self).__name__}.{side}_terms` must return the terms of the {side} by their names, at least "
                f"one, got {shape_or_type(terms)}"
            )
        self.backward_terms(side, {**terms, **self.penalties(side, batch, fake)}, parts)

    def _advance_perturbations(self, batch: Batch, images_seen: int) -> None:
        """Pass the number of images seen to all perturbations, and logits of this batch to those that need them now."""
        for perturbation in self._perturbations:
            every = perturbation.listens_every
            rows = slice(0, None if every and self.iteration % every == 0 else 0)
            perturbation.advance(images_seen, *self._opinion(batch[rows]))

    @torch.no_grad()
    def _opinion(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the critic's logits of a batch and of as many generated images, each (N,)."""
        if not len(batch):
            return batch.images.new_empty(0), batch.images.new_empty(0)
        with eagerly(), self.members("generator").frozen(), self.members("discriminator").frozen():
            real = self.critic(batch.images, batch.condition)
            return real, self.critic(self.generate(batch).images, batch.condition)
