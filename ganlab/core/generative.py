"""What every model here has in common: players that take steps, counting, averaging, resuming.

The only file that steps an optimizer. A subclass says who plays (`players`), what an iteration's turns are
(`take_turns`), and how to sample; clipping, averaging over processes, schedules, logs and checkpoints are here.

An iteration is one batch from the loader. `trainer.global_step` and `trainer.max_steps` count iterations, whatever
the number of turns.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganlab.core.averaging import MovingAverage
from ganlab.core.randomness import part_ways, random_states, restore_random_states
from ganlab.core.running_means import Logbook
from ganlab.core.sides import Side, clip_gradients, frozen
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition, at_least_float32
from ganlab.perturbations import Perturbation
from ganlab.processes import average_across_processes, gather_values
from ganlab.regularizers import Regularizer

Terms = dict[str, Tensor]
"""The named parts of a side's loss, each (N,) and already weighted."""


class GenerativeModule(pl.LightningModule, ABC):
    """Draws pictures from latents, and learns to, one or more players taking turns. Abstract.

    `players`: networks with how each learns, in the order of their optimizers; one of them is the `generator`, whose
    moving average is what is shown, measured and sampled.
    """

    generator: nn.Module
    reads: ClassVar[str | None] = None
    """The kind of condition that the model cannot do without; None where that is for its parts, or nobody, to say."""
    automatic_optimization = False

    def __init__(
        self, spec: DataSpec, players: Mapping[str, tuple[nn.Module, Side]], average: MovingAverage, latent_dim: int
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.spec = spec
        self.sides = {name: side for name, (_, side) in players.items()}
        for name, (network, side) in players.items():
            side.constraint.start(network)
            setattr(self, name, network)
        self.remembering = remembering(self.sides)
        self.averaging = average
        self.average = average.start(self.generator)
        for name, side in self.sides.items():
            for regularizer in side.regularizers.values():
                regularizer.start(self.player(name))
        self.latent_dim = latent_dim
        self.images_seen = 0
        self.recipe: dict[str, Any] = {}
        self._logged = Logbook()
        self._random: list[dict[str, Any]] | None = None

    # What a variant says -------------------------------------------------------------------------------------------

    @abstractmethod
    def take_turns(self, batch: Batch) -> None:
        """One iteration on real images in [-1, 1]: terms, `backward` and `step` for each player in its turn."""

    @abstractmethod
    def report(self, batch: Batch) -> dict[str, Tensor]:
        """Return scalars that describe the game on these reals and on new generated images. See `held_out_report`."""

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

    def held_out_report(self, batch: Batch, seed: int = 0) -> dict[str, Tensor]:
        """Return `report` on held-out images, without a trace (see `evaluating`)."""
        with self.evaluating(seed):
            return self.report(batch.to(self.device).ready())

    @contextmanager
    def evaluating(self, seed: int) -> Iterator[None]:
        """Freeze every player and seed the random numbers inside; restore buffers and random states at the end.

        Nothing has gradients inside, and new tensors have the number format of the generator.
        """
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices), default_dtype(self.generator), ExitStack() as stack:
            for name in self.sides:
                stack.enter_context(frozen(self.player(name)))
            torch.manual_seed(seed)
            yield

    @contextmanager
    def sampling_live(self) -> Iterator[None]:
        """Let `sample` use a copy of the live generator inside, in evaluation mode and in float32."""
        average = self.average
        self.average = copy.deepcopy(self.generator).float().eval()
        try:
            yield
        finally:
            self.average = average

    def player(self, name: str) -> nn.Module:
        """The network of that side."""
        return self.get_submodule(name)

    @property
    def iteration(self) -> int:
        """Iterations completed."""
        return self.global_step

    @property
    def discriminators(self) -> list[nn.Module]:
        """Return the networks that judge images: one, or one of each stage. It is empty without a discriminator."""
        if "discriminator" not in self.sides:
            return []
        player = self.player("discriminator")
        return list(player.values()) if isinstance(player, nn.ModuleDict) else [player]

    @property
    def phase(self) -> str:
        """Return the name of the current part of a run with several parts, whose measurements do not compare."""
        return ""

    def backward_terms(self, name: str, terms: Terms, parts: int = 1) -> None:
        """Gradients of the sum of the terms' means, for one of `parts` equal parts of a turn; logged by name."""
        means = {term: at_least_float32(values).mean() for term, values in terms.items()}
        for term, mean in means.items():
            self._logged.add(f"{name}/{term}", mean.detach())
        self.manual_backward(torch.stack(list(means.values())).sum() / parts)

    def step(self, name: str) -> None:
        """Average the gradients over processes, clip (in `on_before_optimizer_step`), step, forget the gradients."""
        network = self.player(name)
        average_across_processes(p.grad for p in network.parameters() if p.grad is not None)
        optimizer = self.trainer.strategy.optimizers[list(self.sides).index(name)]
        self.trainer.strategy.optimizer_step(optimizer, closure=lambda: None, model=self)
        optimizer.zero_grad(set_to_none=True)
        self.sides[name].constraint.enforce(network)
        moving = (part for part in network.modules() if part.training)  # what evaluates stands still, to the last bit
        average_across_processes(buffer for part in moving for buffer in part.buffers(recurse=False))

    # One iteration -------------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self.take_turns(batch.ready())
        self._finish_iteration(len(batch))

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the side's gradient and log its norm before that, both as they are without a loss scale."""
        turns = zip(self.sides.items(), self.trainer.strategy.optimizers, strict=True)
        name, side = next(player for player, own in turns if own is optimizer)
        self._unscale(optimizer)
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        self._logged.add(f"{name}/gradient_norm", clip_gradients(gradients, side.clip))

    def _unscale(self, optimizer: Optimizer) -> None:
        """Divide by the loss scale where Lightning leaves that to the optimizer's own step: a fused one's."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            scaler.unscale_(optimizer)

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
        optimizers = [side.optimizer(self.player(name).parameters()) for name, side in self.sides.items()]
        pairs = zip(self.sides.values(), optimizers, strict=True)
        return optimizers, [side.scheduler(optimizer) for side, optimizer in pairs if side.scheduler is not None]

    def train(self, mode: bool = True) -> GenerativeModule:
        """The average never trains: its batch statistics are averages too."""
        super().train(mode)
        self.average.eval()
        return self

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> GenerativeModule:
        """Convert and move everything, but leave the average and what remembers in float32.

        They move by less than half precision can tell: 0.999 a + 0.001 b is a in bfloat16, unless b is far from a.
        Whoever samples from the average need not know in which precision the players learn.
        """
        memory = (part for part in self.modules() if isinstance(part, (Regularizer, Perturbation)))
        kept = {id(tensor) for part in (self.average, *memory) for tensor in (*part.parameters(), *part.buffers())}

        def convert(tensor: Tensor) -> Tensor:
            converted = function(tensor)
            return tensor.to(converted.device) if id(tensor) in kept and converted.dtype != tensor.dtype else converted

        super()._apply(convert, recurse)  # type: ignore[no-untyped-call]
        return self

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["ganlab"] = {
            "recipe": self.recipe,
            "spec": self.spec.plain(),
            "iteration": self.iteration,
            "images_seen": self.images_seen,
            "logged": {"sums": dict(self._logged.sums), "counts": dict(self._logged.counts)},
            "random": gather_values(random_states()),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.trainer.precision_plugin.convert_module(self)  # before the weights come, or float64 would be rounded
        saved = checkpoint["ganlab"]
        self.images_seen = saved["images_seen"]
        self._logged = Logbook(**saved["logged"])
        self._random = saved["random"]

    def on_train_start(self) -> None:
        """All processes start from one seed and the same weights; from here on each draws latents of its own."""
        part_ways(self.global_rank, self.iteration)

    def prepare(self) -> None:
        """Before anything of a new run is made: take what comes from elsewhere. A resumed run has it already."""

    def begin_anew(self, seed: int) -> None:
        """Go on by another seed than what was loaded went by; each process draws numbers of its own."""
        self._random = None
        torch.manual_seed(seed)
        part_ways(self.global_rank, self.iteration)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Random states are restored last, when nothing that draws from them comes between."""
        if self._random is not None and self.global_rank < len(self._random):
            restore_random_states(self._random[self.global_rank])
        self._random = None


@contextmanager
def default_dtype(network: nn.Module) -> Iterator[None]:
    """Inside, new tensors have the number format of the network's weights: pictures, latents."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(next(network.parameters()).dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def remembering(sides: Mapping[str, Side]) -> nn.ModuleDict:
    """Regularizers that have a memory, which checkpoints must keep."""
    every = ((f"{name}_{key}", one) for name, side in sides.items() for key, one in side.regularizers.items())
    return nn.ModuleDict({key: one for key, one in every if isinstance(one, nn.Module)})
