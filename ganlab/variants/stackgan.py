"""A game of two stages: the first draws a small image of the condition, the second an image of four times its side.

Zhang et al. 2017 (StackGAN), in one run with one checkpoint. The first stage's game takes `stage_one_iterations`, on
images reduced to a quarter of the side. Then Stage I is replaced by its moving average and frozen, and the second
stage's game begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from ganlab.config.ranges import Dim, NonNegative, NonNegativeInt
from ganlab.core.adversarial import AdversarialModule, Fake, Terms
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.core.transfer import Difference, Tensors, differences, take
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition
from ganlab.errors import UserError
from ganlab.networks.architecture import Architecture
from ganlab.networks.conditional import ConditionalDiscriminator
from ganlab.networks.conditioning import ConditionEncoder
from ganlab.networks.heads import Head
from ganlab.networks.stack import shrink, small_shape
from ganlab.networks.stages import Listener, StackedGenerator, Stage
from ganlab.objectives import Objective


class StackGAN(AdversarialModule):
    """Generation of images from a class or a caption in two stages.

    Each stage has its own encoders, conditioning augmentation and discriminator. Sizes are 64, 128 or 256, and a
    quarter of it in Stage I.

    network: Stage I's architecture. stage_two: an architecture whose generator is called with (small pictures, code),
    as `networks.stack.Refiner` is. stage_one_iterations: the length of Stage I's game. stage_one: a run's folder or
    checkpoint whose Stage I is taken unchanged; `stage_one_iterations` must then be 0. augmented_dim: dimensions of the
    normal distribution into which a condition is mapped. kl_weight: weight of its divergence from N(0, 1), a mean over
    the dimensions (2.0 in the authors' code). latent_dim: that of z alone. The module's own includes the noise of both
    conditions.
    """

    generator: StackedGenerator
    average: StackedGenerator
    discriminator: nn.ModuleDict

    def __init__(
        self,
        spec: DataSpec,
        network: Architecture,
        stage_two: Architecture,
        condition: Callable[[], ConditionEncoder],
        head: Callable[..., Head],
        objective: Objective,
        generator: Side,
        discriminator: Side,
        average: MovingAverage,
        stage_one_iterations: NonNegativeInt,
        stage_one: str | None = None,
        augmented_dim: Dim = 128,
        kl_weight: NonNegative = 2.0,
        latent_dim: Dim = 100,
    ) -> None:
        check_start(stage_one_iterations, stage_one)
        first, second = Listener(condition(), augmented_dim), Listener(condition(), augmented_dim)
        spec.check_kind(first.encoder.kind)
        small = small_shape(spec.shape)
        stages = StackedGenerator(
            Stage(first, network.generator(shape=small, code_dim=latent_dim + augmented_dim)),
            Stage(second, stage_two.generator(shape=spec.shape, code_dim=augmented_dim)),
            (latent_dim, augmented_dim, augmented_dim),
        )
        judges = {
            "stage_one": ConditionalDiscriminator(network.trunk(small), condition(), head),
            "stage_two": ConditionalDiscriminator(stage_two.trunk(spec.shape), condition(), head),
        }
        latent_dim = sum(stages.parts)
        super().__init__(spec, stages, nn.ModuleDict(judges), objective, generator, discriminator, average, latent_dim)
        self.stage_one_iterations, self.stage_one, self.kl_weight = stage_one_iterations, stage_one, kl_weight
        self._sides = {"stage_one": small[-1], "stage_two": spec.shape[-1]}

    # Stages --------------------------------------------------------------------------------------------------------

    @property
    def playing(self) -> str:
        """Return the name of the current stage."""
        return "stage_two" if self.generator.done else "stage_one"

    @property
    def phase(self) -> str:
        """Return the name of the current stage."""
        return self.playing

    @property
    def judge(self) -> ConditionalDiscriminator:
        """Return the discriminator of the current stage."""
        judge = self.discriminator[self.playing]
        assert isinstance(judge, ConditionalDiscriminator)
        return judge

    def fitted(self, images: Tensor) -> Tensor:
        """Return images at the size of the current stage."""
        return shrink(images, self._sides[self.playing])

    def take_turns(self, batch: Batch) -> None:
        """Finish Stage I if it is due, then play one iteration on images of the current stage's size."""
        if self.iteration >= self.stage_one_iterations and not self.generator.done:
            with self.whole():
                self.finish_stage_one()
        super().take_turns(replace(batch, images=self.fitted(batch.images)))

    def finish_stage_one(self) -> None:
        """Replace Stage I by its moving average, including batch statistics, in the generator and in its average."""
        for stages in (self.generator, self.average):
            stages.finish(self.average.stage_one)

    # Stage I of another run ----------------------------------------------------------------------------------------

    @property
    def starts_from(self) -> str | None:
        """Return the run or checkpoint whose Stage I a new run takes, or None."""
        return self.stage_one

    def take_over(self, state: Mapping[str, Tensor], spec: DataSpec) -> None:
        """Take the averaged Stage I of another run, and freeze it. Raise `UserError` if there is none that fits."""
        own = Tensors(self.average.stage_one.state_dict(), {})
        stored = Tensors(stage_one_of(state, spec, self.spec), {})
        check_fits(differences(own, stored))
        take(own, stored)
        self.finish_stage_one()

    def on_fit_start(self) -> None:
        """Raise `UserError` if a new run should take its Stage I from another run and it is not loaded yet."""
        if self.stage_one is not None and self.images_seen == 0 and not self.generator.done:
            raise UserError("`variant.stage_one` is not loaded: call ganlab.core.starting.warm_start(module) first")

    # The game ------------------------------------------------------------------------------------------------------

    def generate(self, batch: Batch) -> Fake:
        """Return images at the size of the current stage."""
        latent = self.draw_latent(len(batch))
        return Fake(self.generator.play(latent, batch.condition), latent)

    def synthesize(self, network: nn.Module, latent: Tensor, condition: Condition) -> Tensor:
        """Return images at full size in both stages."""
        return network(latent, condition)

    def discriminator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the terms of the current stage's head for real, generated and mismatched pairs."""
        return self.judge.own_terms(self.objective, batch, fake)

    def generator_terms(self, batch: Batch, fake: Fake) -> Terms:
        """Return the terms of the current stage's head, and the KL divergence of its conditioning augmentation."""
        terms = self.judge.generator_terms(self.objective, batch, fake)
        return {**terms, "kl": self.kl_weight * self._divergence(batch, fake)}

    def critic(self, images: Tensor, condition: Condition) -> Tensor:
        """Return the current stage's logits that tell real from generated, summed: (N,). Images have full size."""
        return self.judge.critic_logit(self.fitted(images), condition)

    def logits(self, images: Tensor, condition: Condition) -> dict[str, Tensor]:
        """Return the logits of the current stage's head by question, each (N,). Images have full size."""
        return self.judge.logits(self.fitted(images), condition)

    def report(self, batch: Batch) -> dict[str, Tensor]:
        """Return the divergences and accuracies of the current stage's head, and its augmentation's KL divergence."""
        batch = replace(batch, images=self.fitted(batch.images))
        fake = self.generate(batch)
        return {**self.judge.report(self.objective, batch, fake), "kl": self._divergence(batch, fake).mean()}

    def _divergence(self, batch: Batch, fake: Fake) -> Tensor:
        return self.generator.playing.listener.divergence(batch.condition, fake.latent)


# Stage I of another run --------------------------------------------------------------------------------------------


def check_start(iterations: int, run: str | None) -> None:
    """Raise `UserError` unless Stage I is either trained or taken from a run."""
    if (iterations >= 1) == (run is not None) or iterations < 0:
        raise UserError(
            f"`variant.stage_one_iterations` must be 0 with variant.stage_one=RUN and at least 1 without, got "
            f"{iterations} and {run or 'no run'}"
        )


def stage_one_of(state: Mapping[str, Tensor], theirs: DataSpec, ours: DataSpec) -> dict[str, Tensor]:
    """Return the weights of the averaged Stage I in a checkpoint's state.

    Raise `UserError` if it has none, or if it learned from data of another description than ours.
    """
    start = "average.stage_one."
    part = {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}
    if not part:
        raise UserError("`variant.stage_one` has no Stage I: name a run of recipe=stackgan")
    for what in ("shape", "kind", "classes", "vocabulary", "captions"):
        if getattr(theirs, what) != getattr(ours, what):
            raise UserError(f"`variant.stage_one` learned from data with another {what}: use the same data")
    return part


def check_fits(missing: Sequence[Difference]) -> None:
    """Raise `UserError` for the first weight that differs between the stored Stage I and this one."""
    for one in missing:
        raise UserError(
            f"`variant.stage_one` was made with other settings: its {one.place} is {one.stored}, here it is "
            f"{one.here}; use the same network, condition, latent_dim and variant.augmented_dim"
        )
