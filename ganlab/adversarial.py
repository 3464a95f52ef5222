"""The game: two sides that take turns. The only file that steps an optimizer.

A variant subclasses `AdversarialModule`, says what each side minimises as named terms per sample, and how to generate
and sample; whose turn it is, gradients, clipping, accumulation, stepping, counting, averaging and resuming are here.

An iteration is one batch from the loader: the discriminator's turns, each on reals of its own, then the generator's.
`trainer.global_step` and `trainer.max_steps` count iterations, whatever the number of turns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganlab.averaging import MovingAverage
from ganlab.batch import Batch, Condition
from ganlab.data.base import DataSpec
from ganlab.logbook import Logbook
from ganlab.randomness import part_ways, random_states, restore_random_states
from ganlab.sides import Side, frozen
from ganlab.strategies import average_across_processes

Terms = dict[str, Tensor]
"""The named parts of a side's loss, each (N,) and already weighted."""


class AdversarialModule(pl.LightningModule, ABC):
    """A generator and a discriminator that alternate. Abstract: variants say what the game is."""

    automatic_optimization = False

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
        super().__init__()
        self.automatic_optimization = False
        self.spec = spec
        self.generator = generator_network
        self.discriminator = discriminator_network
        self.generator_side = generator
        self.discriminator_side = discriminator
        self.averaging = average
        self.average = average.start(generator_network)
        self.latent_dim = latent_dim
        self.images_seen = 0
        self.recipe: dict[str, Any] = {}
        self._logged = Logbook()
        self._random: list[dict[str, Any]] | None = None

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

    @abstractmethod
    def report(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars that say how the game stands, on these reals and fresh generated pictures. `standing` calls it."""

    @abstractmethod
    def sample(self, latent: Tensor, condition: Condition = None) -> Tensor:
        """Pictures of the averaged generator, (N, *shape) in [-1, 1]. latent: (N, latent_dim)."""

    # What a variant may use ----------------------------------------------------------------------------------------

    def draw_latent(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """(count, latent_dim) of standard normal noise on this module's device.

        With a `generator` (on the CPU) the numbers are the same on every device.
        """
        if generator is None:
            return torch.randn(count, self.latent_dim, device=self.device)
        return torch.randn(count, self.latent_dim, generator=generator).to(self.device)

    def penalties(self, side: Side, batch: Batch, fake: Tensor) -> Terms:
        """The side's regularizers that are due on this iteration."""
        return {
            name: regularizer(self.critic, batch.images, fake, batch.condition)
            for name, regularizer in side.regularizers.items()
            if regularizer.due(self.iteration)
        }

    @torch.no_grad()
    def standing(self, batch: Batch, seed: int = 0) -> dict[str, Tensor]:
        """`report` on held-out pictures, leaving no trace: no gradients, buffers and random states as they were."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), frozen(self.generator), frozen(self.discriminator):
            torch.manual_seed(seed)
            return self.report(batch.to(self.device).ready())

    @property
    def iteration(self) -> int:
        """Iterations completed."""
        return self.global_step

    # One iteration -------------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        reals = batch.ready().chunk(self.discriminator_side.turns)
        if self._shares_forward:
            self._turns_sharing_a_forward(reals[0])
        else:
            self._turns_apart(reals)
        self._finish_iteration(len(batch))

    @property
    def _shares_forward(self) -> bool:
        """One turn each, in one piece: both may use the same generated pictures, so the generator runs once."""
        sides = (self.discriminator_side, self.generator_side)
        return all(side.turns == 1 and side.accumulate == 1 for side in sides)

    def _turns_sharing_a_forward(self, batch: Batch) -> None:
        fake = self.generate(batch)
        with frozen(self.generator):
            self._backward("discriminator", self.discriminator_terms(batch, fake.detach()), 1)
            self._step(self.discriminator, 0)
        with frozen(self.discriminator):
            self._backward("generator", self.generator_terms(batch, fake), 1)
            self._step(self.generator, 1)

    def _turns_apart(self, reals: list[Batch]) -> None:
        for batch in reals:
            with frozen(self.generator):
                self._discriminator_turn(batch.chunk(self.discriminator_side.accumulate))
        for _ in range(self.generator_side.turns):
            with frozen(self.discriminator):
                self._generator_turn(reals[-1].chunk(self.generator_side.accumulate))

    def _discriminator_turn(self, parts: list[Batch]) -> None:
        for part in parts:
            with torch.no_grad():
                fake = self.generate(part)
            self._backward("discriminator", self.discriminator_terms(part, fake), len(parts))
        self._step(self.discriminator, 0)

    def _generator_turn(self, parts: list[Batch]) -> None:
        for part in parts:
            self._backward("generator", self.generator_terms(part, self.generate(part)), len(parts))
        self._step(self.generator, 1)

    def _backward(self, side: str, terms: Terms, parts: int) -> None:
        means = {name: term.float().mean() for name, term in terms.items()}
        for name, mean in means.items():
            self._logged.add(f"{side}/{name}", mean.detach())
        self.manual_backward(torch.stack(list(means.values())).sum() / parts)

    def _step(self, network: nn.Module, index: int) -> None:
        """Average the gradients over processes, clip (in `on_before_optimizer_step`), step, forget the gradients."""
        average_across_processes(p.grad for p in network.parameters() if p.grad is not None)
        optimizer = self.trainer.strategy.optimizers[index]
        self.trainer.strategy.optimizer_step(optimizer, closure=lambda: None, model=self)
        optimizer.zero_grad(set_to_none=True)
        average_across_processes(network.buffers())

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the side's gradient. Lightning calls this after unscaling, so it holds under float16 too."""
        is_discriminator = optimizer is self.trainer.strategy.optimizers[0]
        name, side = (
            ("discriminator", self.discriminator_side) if is_discriminator else ("generator", self.generator_side)
        )
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        limit = float("inf") if side.clip is None else side.clip
        self._logged.add(f"{name}/gradient_norm", nn.utils.clip_grad_norm_(parameters, limit).detach())

    def _finish_iteration(self, images: int) -> None:
        images *= self.trainer.world_size
        self.images_seen += images
        beta = self.averaging.beta(images, self.images_seen)
        self.averaging.update(self.average, self.generator, beta)
        for scheduler in self.trainer.lr_scheduler_configs:
            scheduler.scheduler.step()  # type: ignore[call-arg]  # none that waits for a metric
        if (self.iteration + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._log({**self._logged.read(), "images_seen": torch.tensor(float(self.images_seen))})
        self._count_iteration()

    def _log(self, values: dict[str, Tensor]) -> None:
        """To callbacks through Lightning, to the loggers directly: Lightning's step is one less, and it repeats the
        last value of a term that was not due."""
        self.log_dict(values, logger=False)
        for logger in self.loggers:
            logger.log_metrics({name: float(value) for name, value in values.items()}, step=self.iteration + 1)

    def _count_iteration(self) -> None:
        """Lightning counts optimizer steps taken through its wrapper; ours are not, so it counts this instead."""
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.increment_ready()
        progress.increment_completed()

    # Lightning's hooks ---------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        optimizers = [
            self.discriminator_side.optimizer(self.discriminator.parameters()),
            self.generator_side.optimizer(self.generator.parameters()),
        ]
        sides = (self.discriminator_side, self.generator_side)
        schedulers = [s.scheduler(o) for s, o in zip(sides, optimizers, strict=True) if s.scheduler is not None]
        return optimizers, schedulers

    def train(self, mode: bool = True) -> AdversarialModule:
        """The average never trains: its batch statistics are averages too."""
        super().train(mode)
        self.average.eval()
        return self

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["ganlab"] = {
            "recipe": self.recipe,
            "spec": self.spec.plain(),
            "iteration": self.iteration,
            "images_seen": self.images_seen,
            "logged": {"sums": dict(self._logged.sums), "counts": dict(self._logged.counts)},
            "random": _on_every_process(random_states()),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint["ganlab"]
        self.images_seen = saved["images_seen"]
        self._logged = Logbook(**saved["logged"])
        self._random = saved["random"]

    def on_train_start(self) -> None:
        """All processes start from one seed and the same weights; from here on each draws latents of its own."""
        part_ways(self.global_rank, self.iteration)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Random states are restored last, when nothing that draws from them comes between."""
        if self._random is not None and self.global_rank < len(self._random):
            restore_random_states(self._random[self.global_rank])
        self._random = None


def _on_every_process(value: dict[str, Any]) -> list[dict[str, Any]]:
    """This value of every process, in rank order."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [value]
    gathered: list[dict[str, Any]] = [{}] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, value)
    return gathered
