"""Two stages: the first draws small what it is told, the second makes a picture of four times the side of it.

Zhang et al. 2017 (StackGAN). One run, one checkpoint: `stage_one_iterations` of the first stage's game on pictures
shrunk to a quarter; then its generator is what its moving average was, for good, and the second stage's game begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ganlab.config.ranges import Dim, NonNegative, NonNegativeInt
from ganlab.core.adversarial import AdversarialModule, Terms
from ganlab.core.averaging import MovingAverage
from ganlab.core.checkpoints import read_checkpoint
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition
from ganlab.errors import UserError
from ganlab.files.run_folder import find_checkpoint
from ganlab.networks.architecture import Architecture
from ganlab.networks.conditioning import ConditionEncoder
from ganlab.networks.heads import Head
from ganlab.networks.stack import shrink, small_shape
from ganlab.networks.stages import Listener, StackedGenerator, Stage
from ganlab.objectives import Objective
from ganlab.variants.conditional import ConditionalDiscriminator, check_kind


class StackGAN(AdversarialModule):
    """Class or caption to image in two stages, each with encoders, conditioning augmentation and discriminator of its
    own. Sizes 64, 128, 256, and a quarter of it in Stage I.

    `network` is Stage I's; the generator of `stage_two` is called with (small pictures, code), as
    `networks.stack.Refiner` is. `stage_one_iterations`: how long Stage I plays. `stage_one`: instead, with 0 of them, a
    run's folder or checkpoint whose Stage I is taken as it is. `augmented_dim`: dimensions of the normal distribution
    that a condition becomes; `kl_weight`: of its divergence from N(0, 1), a mean over the dimensions (2.0 in the
    authors' code). `latent_dim` is z's here; the module's own has the noise of both conditions in it.
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
        check_kind(first.encoder, spec)
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
        super().__init__(spec, stages, nn.ModuleDict(judges), generator, discriminator, average, sum(stages.parts))
        self.objective = objective
        self.stage_one_iterations, self.stage_one, self.kl_weight = stage_one_iterations, stage_one, kl_weight
        self._sides = {"stage_one": small[-1], "stage_two": spec.shape[-1]}

    # Stages --------------------------------------------------------------------------------------------------------

    @property
    def playing(self) -> str:
        """The name of the stage that plays."""
        return "stage_two" if self.generator.finished else "stage_one"

    @property
    def phase(self) -> str:
        return self.playing

    @property
    def judge(self) -> ConditionalDiscriminator:
        judge = self.discriminator[self.playing]
        assert isinstance(judge, ConditionalDiscriminator)
        return judge

    def fitted(self, images: Tensor) -> Tensor:
        """Pictures at the size of the stage that plays."""
        return shrink(images, self._sides[self.playing])

    def take_turns(self, batch: Batch) -> None:
        if self.iteration >= self.stage_one_iterations and not self.generator.finished:
            self.finish_stage_one()
        super().take_turns(replace(batch, images=self.fitted(batch.images)))

    def finish_stage_one(self) -> None:
        """Stage I is its moving average from now on, batch statistics and all, in the generator as in its average."""
        for stages in (self.generator, self.average):
            stages.finish(self.average.stage_one)

    def prepare(self) -> None:
        """A run that begins with a Stage I from elsewhere takes it. `UserError` if there is none that fits."""
        if self.stage_one is not None:
            state = stage_one_of(find_checkpoint(self.stage_one), self.spec)
            check_fits(state, self.average.stage_one)
            self.average.stage_one.load_state_dict(state)
            self.finish_stage_one()

    def on_fit_start(self) -> None:
        """Where no command has prepared the run."""
        if self.images_seen == 0 and not self.generator.finished:
            self.prepare()

    # The game ------------------------------------------------------------------------------------------------------

    def generate(self, batch: Batch) -> Tensor:
        """At the size of the stage that plays."""
        return self.generator.play(self.draw_latent(len(batch)), batch.condition)

    def discriminator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        terms = self.judge.own_terms(self.objective, batch, fake)
        return {**terms, **self.penalties("discriminator", batch, fake)}

    def generator_terms(self, batch: Batch, fake: Tensor) -> Terms:
        terms = self.judge.generator_terms(self.objective, batch, fake)
        terms["kl"] = self.kl_weight * self.generator.playing.listener.divergence(batch.condition)
        return {**terms, **self.penalties("generator", batch, fake)}

    def critic(self, images: Tensor, condition: Condition) -> Tensor:
        return self.judge.potential(self.fitted(images), condition)

    def report(self, batch: Batch) -> dict[str, Tensor]:
        batch = replace(batch, images=self.fitted(batch.images))
        report = self.judge.report(self.objective, batch, self.generate(batch))
        return {**report, "kl": self.generator.playing.listener.divergence(batch.condition).mean()}

    @torch.no_grad()
    def sample(self, latent: Tensor, condition: Condition = None) -> Tensor:
        return self.average(latent, condition)


# A Stage I from elsewhere ------------------------------------------------------------------------------------------


def check_start(iterations: int, run: str | None) -> None:
    """`UserError` unless Stage I is either played or taken from a run."""
    if (iterations >= 1) == (run is not None) or iterations < 0:
        raise UserError(
            f"`variant.stage_one_iterations` must be 0 with variant.stage_one=RUN and at least 1 without, got "
            f"{iterations} and {run or 'no run'}"
        )


def stage_one_of(file: Path, spec: DataSpec) -> dict[str, Tensor]:
    """The weights of the averaged Stage I in a checkpoint. `UserError` if it has none, or was told other words."""
    content = read_checkpoint(file)
    start = "average.stage_one."
    state = {name.removeprefix(start): value for name, value in content["state_dict"].items() if name.startswith(start)}
    theirs = DataSpec.from_plain(content["ganlab"]["spec"])
    if not state:
        raise UserError(f"`variant.stage_one` {file} has no Stage I: name a run of recipe=stackgan")
    for what in ("shape", "kind", "classes", "vocabulary"):
        if getattr(theirs, what) != getattr(spec, what):
            raise UserError(f"`variant.stage_one` {file} learned from data with another {what}: use the same data")
    return state


def check_fits(state: dict[str, Tensor], stage: nn.Module) -> None:
    """`UserError` for the first weight that is not as in this stage."""
    own = {name: tuple(value.shape) for name, value in stage.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    for name in sorted(own.keys() | found.keys()):
        if own.get(name) != found.get(name):
            raise UserError(
                f"`variant.stage_one` was made with other settings: its {name} is {found.get(name)}, here it is "
                f"{own.get(name)}; use the same network, condition, latent_dim and variant.augmented_dim"
            )
