"""The game: a generator and a discriminator that take turns.

A variant subclasses `AdversarialModule`, says what each side minimises as named terms per sample, and how to generate
and sample; whose turn it is, who is frozen meanwhile and in how many parts a batch is passed are here.

An iteration is one batch from the loader: the discriminator's turns, each on reals of its own, then the generator's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ganlab.core.averaging import MovingAverage
from ganlab.core.generative import GenerativeModule, Terms
from ganlab.core.sides import Side, frozen
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition
from ganlab.perturbations import Perturbation

__all__ = ["AdversarialModule", "Terms"]


class AdversarialModule(GenerativeModule, ABC):
    """A generator and a discriminator that alternate. Abstract: variants say what the game is."""

    discriminator: nn.Module

    def __init__(
        self,
        spec: DataSpec,
        generator_network: nn.Module,
        discriminator_network: nn.Module,
        generator: Side,
        discriminator: Side,
        average: MovingAverage,
        latent_dim: int,
    ) -> None:
        players = {"discriminator": (discriminator_network, discriminator), "generator": (generator_network, generator)}
        super().__init__(spec, players, average, latent_dim)
        self._perturbations = [part for part in discriminator_network.modules() if isinstance(part, Perturbation)]

    # What a variant says -------------------------------------------------------------------------------------------

    @abstractmethod
    def generate(self, batch: Batch) -> Tensor:
        """The playing generator's pictures, (N, *shape) in [-1, 1], for fresh latents and the batch's conditions."""

    @abstractmethod
    def discriminator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        """What the discriminator minimises, per sample. `fake` carries no graph."""

    @abstractmethod
    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        """What the generator minimises, per sample. The discriminator is frozen."""

    @abstractmethod
    def critic(self, images: Tensor, condition: Condition) -> Tensor:
        """(N,): the logits that tell real from generated, summed; what gradient penalties differentiate."""

    # What a variant may use ----------------------------------------------------------------------------------------

    def penalties(self, side: str, batch: Batch, fake: Tensor) -> Terms:
        """The side's regularizers that are due on this iteration."""
        return {
            name: regularizer(self.critic, batch.images, fake, batch.condition, self.iteration)
            for name, regularizer in self.sides[side].regularizers.items()
            if regularizer.due(self.iteration)
        }

    def held_out_logits(self, train: Batch, held_out: Batch, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the critic's logits (N,) of training images, of held-out images and of generated ones.

        The generated images have the conditions of the held-out ones. It leaves no trace (see `evaluating`).
        """
        with self.evaluating(seed):
            train, held_out = (batch.to(self.device).ready() for batch in (train, held_out))
            real, other = (self.critic(batch.images, batch.condition) for batch in (train, held_out))
            return real, other, self.critic(self.generate(held_out), held_out.condition)

    # One iteration -------------------------------------------------------------------------------------------------

    def take_turns(self, batch: Batch) -> None:
        reals = batch.chunk(self.sides["discriminator"].turns)
        if self._shares_forward:
            self._turns_sharing_a_forward(reals[0])
        else:
            self._turns_apart(reals)
        self._advance_perturbations(reals[-1], self.images_seen + len(batch) * self.trainer.world_size)

    @property
    def _shares_forward(self) -> bool:
        """One turn each, in one piece: both may use the same generated pictures, so the generator runs once."""
        return all(side.turns == 1 and side.accumulate == 1 for side in self.sides.values())

    def _turns_sharing_a_forward(self, batch: Batch) -> None:
        fake = self.generate(batch)
        with frozen(self.generator):
            self.backward_terms("discriminator", self.discriminator_terms(batch, fake.detach()))
            self.step("discriminator")
        with frozen(self.discriminator):
            self.backward_terms("generator", self.generator_terms(batch, fake))
            self.step("generator")

    def _turns_apart(self, reals: list[Batch]) -> None:
        for batch in reals:
            with frozen(self.generator):
                self._discriminator_turn(batch.chunk(self.sides["discriminator"].accumulate))
        for _ in range(self.sides["generator"].turns):
            with frozen(self.discriminator):
                self._generator_turn(reals[-1].chunk(self.sides["generator"].accumulate))

    def _advance_perturbations(self, batch: Batch, images_seen: int) -> None:
        """Tell them how far the run is, and those that listen what the discriminator thinks of this batch."""
        for perturbation in self._perturbations:
            every = perturbation.listens_every
            rows = slice(0, None if every and self.iteration % every == 0 else 0)
            perturbation.advance(images_seen, *self._opinion(batch[rows]))

    @torch.no_grad()
    def _opinion(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The critic's logits of a batch and of as many generated pictures, each (N,)."""
        if not len(batch):
            return batch.images.new_empty(0), batch.images.new_empty(0)
        with frozen(self.generator), frozen(self.discriminator):
            return self.critic(batch.images, batch.condition), self.critic(self.generate(batch), batch.condition)

    def _discriminator_turn(self, parts: list[Batch]) -> None:
        for part in parts:
            with torch.no_grad():
                fake = self.generate(part)
            self.backward_terms("discriminator", self.discriminator_terms(part, fake), len(parts))
        self.step("discriminator")

    def _generator_turn(self, parts: list[Batch]) -> None:
        for part in parts:
            self.backward_terms("generator", self.generator_terms(part, self.generate(part)), len(parts))
        self.step("generator")
