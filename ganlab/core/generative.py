"""The base class of every model: optimizer steps of players, counters, averaging, resuming.

This is the only file that steps an optimizer. A subclass names its players and defines the turns of an iteration
(`take_turns`). If it differs from the simplest case, it also defines how a latent becomes an image (`synthesize`).
Clipping, averaging over processes, schedules, logs and checkpoints are here.

An iteration is one batch from the loader. `trainer.global_step` and `trainer.max_steps` count iterations, for any
number of turns.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import reduce
from itertools import chain
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganlab.core.activation_checkpointing import checkpoint_blocks
from ganlab.core.averaging import MovingAverage
from ganlab.core.batch_statistics import local_statistics
from ganlab.core.depth import freeze, make_optimizer
from ganlab.core.lending import Lending
from ganlab.core.members import Members
from ganlab.core.precision import default_dtype, kept_in_float32
from ganlab.core.randomness import random_states, restore_random_states, seed_per_rank
from ganlab.core.reducer import Reducer, owned_buckets, shared_buckets
from ganlab.core.running_means import RunningMeans
from ganlab.core.shortcut import ask_driver_not_nvml, may_step_directly, without_signal_exchange
from ganlab.core.sides import Side, clip_gradients, stateful_regularizers
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Condition, at_least_float32, one_a_sample
from ganlab.errors import UserError
from ganlab.processes import gather_values, is_distributed

Terms = dict[str, Tensor]
"""The named parts of a side's loss, each (N,) and already weighted."""


def eagerly() -> AbstractContextManager[None]:
    """Return a block in which compiled networks run as they were written."""
    return torch.compiler.set_stance("force_eager")  # type: ignore[no-any-return, no-untyped-call]


class GenerativeModule(pl.LightningModule, ABC):
    """A model that generates images from latents, trained by one or more players that take turns. Abstract.

    players: the network and the training settings of each player, in the order of their optimizers. One of them is the
    `generator`. Its moving average is shown, measured and sampled.
    """

    generator: nn.Module
    reads: ClassVar[str | None] = None
    """The kind of condition that the model needs. None if its components determine it, or if it needs none."""
    needs_features: ClassVar[bool] = True
    """True if `network.discriminator` must be a trunk with a `feature_shape`. Otherwise it may return logits."""

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
        self.remembering = stateful_regularizers(self.sides)  # the name that checkpoints hold
        self.averaging = average
        self.average = average.start(self.generator)
        for name, side in self.sides.items():
            for regularizer in side.regularizers.values():
                regularizer.start(self.player(name))
        self.latent_dim = latent_dim
        self.frozen = {
            name: freeze(name, self.player(name), side, spec.shape, latent_dim) for name, side in self.sides.items()
        }
        for name, side in self.sides.items():
            if side.checkpoint_blocks:
                checkpoint_blocks(name, self.player(name))
        self.images_seen = 0
        self.recipe: dict[str, Any] = {}
        self._logged = RunningMeans()
        self._members: dict[str, Members] = {}
        self._reducers: dict[str, Reducer] = {}
        self._lending = Lending()
        self._passes = 0  # backward passes of the present turn
        self._steps_directly = False
        self._random: list[dict[str, Any]] | None = None

    # What a variant defines ----------------------------------------------------------------------------------------

    @abstractmethod
    def take_turns(self, batch: Batch) -> None:
        """Play one iteration on real images in [-1, 1]: call `backward_terms` and `step` in each player's turn."""

    @abstractmethod
    def report(self, batch: Batch) -> dict[str, Tensor]:
        """Return scalars that describe the game on these reals and on new generated images. See `held_out_report`."""

    # What a variant may replace ------------------------------------------------------------------------------------

    def synthesize(self, network: nn.Module, latent: Tensor, condition: Condition) -> Tensor:
        """Return the images (N, *shape) in [-1, 1] of a generator, or of its average, for latents."""
        return network(latent)

    @torch.no_grad()
    def sample(self, latent: Tensor, condition: Condition = None) -> Tensor:
        """Return the averaged generator's images, (N, *shape) in [-1, 1]. latent: (N, latent_dim)."""
        return self.synthesize(self.average, latent, condition)

    @property
    def phase(self) -> str:
        """Return the current part of training if a run has several. Measurements of two parts are not compared."""
        return ""

    @property
    def starts_from(self) -> str | None:
        """Return the model of which a new run takes a part that the variant chooses, or None. See `starting.py`."""
        return None

    def take_over(self, state: Mapping[str, Tensor], spec: DataSpec) -> None:
        """Take the part from the weights of the model `starts_from`. spec: the description of its training data."""
        raise NotImplementedError(f"{type(self).__name__} starts from no other run")

    @property
    def origin(self) -> Mapping[str, Any]:
        """Return the model that the training started from: its name, its hash and more. Empty if there is none."""
        found = self.recipe.get("origin")
        return found if isinstance(found, Mapping) else {}

    def unlogged(self) -> dict[str, Tensor]:
        """Return the means of all terms since the last row of the log, on this process."""
        return self._logged.peek()

    # For all callers ----------------------------------------------------------------------------------------------

    def draw_latent(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw standard normal latents (count, latent_dim) on this module's device.

        With a `generator` (on the CPU) the numbers are the same on every device.
        """
        if generator is None:
            return torch.randn(count, self.latent_dim, device=self.device)
        return torch.randn(count, self.latent_dim, generator=generator).to(self.device)

    def held_out_report(self, batch: Batch, seed: int = 0) -> dict[str, Tensor]:
        """Return `report` on held-out images. The state of the run stays unchanged (see `evaluating`)."""
        with self.evaluating(seed):
            return self.report(batch.to(self.device).ready())

    @contextmanager
    def evaluating(self, seed: int) -> Iterator[None]:
        """Freeze every player and seed the random numbers inside; restore buffers and random states at the end.

        It may be used on one process alone.

        Nothing has gradients inside, and new tensors have the number format of the generator.
        """
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices), default_dtype(self.generator), ExitStack() as stack:
            stack.enter_context(eagerly())
            for name in self.sides:
                stack.enter_context(Members(self.player(name)).frozen())
                stack.enter_context(local_statistics(self.player(name)))
            torch.manual_seed(seed)
            yield

    def whole(self) -> AbstractContextManager[None]:
        """Have all weights on this process inside the block, also with `trainer.strategy=fsdp`.

        Every process must enter it. Inside, a process may run the networks alone.
        """
        return self._lending.whole()

    @contextmanager
    def sampling_live(self) -> Iterator[None]:
        """Make `sample` use a copy of the live generator inside the block, in evaluation mode and in float32."""
        average = self.average
        self.average = copy.deepcopy(self.generator).float().eval()
        try:
            yield
        finally:
            self.average = average

    def player(self, name: str) -> nn.Module:
        """Return the network of a side."""
        return getattr(self, name)  # type: ignore[no-any-return]

    def members(self, name: str) -> Members:
        """Return the tensors of a network of this module, such as a side's or the average."""
        if name not in self._members:
            self._members[name] = Members(self.get_submodule(name))
        return self._members[name]

    @property
    def iteration(self) -> int:
        """Return the number of completed iterations."""
        return self.global_step

    @property
    def discriminators(self) -> list[nn.Module]:
        """Return the networks that judge images: one, or one for each stage. Empty without a discriminator."""
        if "discriminator" not in self.sides:
            return []
        player = self.player("discriminator")
        return list(player.values()) if isinstance(player, nn.ModuleDict) else [player]

    def backward_terms(self, name: str, terms: Terms, parts: int = 1) -> None:
        """Add the gradients of the sum of the terms' means, for one of `parts` equal parts of a turn; log each term.

        Raise `UserError` if a term is not one number a sample, or if no term depends on the weights.
        """
        per_sample = {term: one_a_sample(values, f"`{name}/{term}`") for term, values in terms.items()}
        means = {term: at_least_float32(values).mean() for term, values in per_sample.items()}
        for term, mean in means.items():
            self._logged.add(f"{name}/{term}", mean.detach())
        if name in self._reducers:
            self._passes += 1
            if self._passes == parts:
                self._reducers[name].arm(self.members(name).moving())  # those at rest are equal in all processes
        loss = reduce(torch.add, means.values())
        if not loss.requires_grad:
            raise UserError(
                f"no term of the {name} ({', '.join(terms)}) depends on its weights: nothing could be learned"
            )
        self._backward(loss / parts if parts > 1 else loss)

    def step(self, name: str) -> None:
        """Average a side's gradients over processes, clip them (in `on_before_optimizer_step`), step, discard them."""
        members = self.members(name)
        if name in self._reducers:
            self._reducers[name].finish()
            self._passes = 0
        self._step(name, self.trainer.strategy.optimizers[list(self.sides).index(name)])
        members.drop_gradients()
        self._lending.drop()
        if self.sides[name].constraint.acts:
            with self.whole():
                self.sides[name].constraint.enforce(self.player(name))

    # The two calls of Lightning around a step. They take as long as the step of a small network -----------------------

    def _backward(self, loss: Tensor) -> None:
        if self._steps_directly:
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            self.manual_backward(loss)

    def _step(self, name: str, optimizer: Optimizer) -> None:
        if self._steps_directly:
            self._clip(name, optimizer)
            optimizer.step()
        else:
            self.trainer.strategy.optimizer_step(optimizer, closure=lambda: None, model=self)

    # One iteration -------------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Play one iteration, then count it, average the generator, advance the schedules and log."""
        self.take_turns(batch.ready())
        self._finish_iteration(len(batch))

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the side's gradient, and log its norm if a row of the log is due, both without the loss scale."""
        turns = zip(self.sides, self.trainer.strategy.optimizers, strict=True)
        self._clip(next(name for name, own in turns if own is optimizer), optimizer)

    def _clip(self, name: str, optimizer: Optimizer) -> None:
        clip = self.sides[name].clip
        if clip is None and not self._row_is_due:
            return
        self._unscale(optimizer)
        norm = self._lending.gradient_norm(self.members(name).parameters)
        if clip is not None:
            clip_gradients(self.members(name).gradients(), norm, clip)
        if self._row_is_due:
            self._logged.add(f"{name}/gradient_norm", norm)

    def _unscale(self, optimizer: Optimizer) -> None:
        """Divide by the loss scale if Lightning leaves that to the optimizer's own step, as for a fused optimizer."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            scaler.unscale_(optimizer)

    def _finish_iteration(self, images: int) -> None:
        images *= self.trainer.world_size
        self.images_seen += images
        beta = self.averaging.beta(images, self.images_seen)
        average, network = (self._lending.own(self.members(name).tensors()) for name in ("average", "generator"))
        self.averaging.update(average, network, beta)
        for scheduler in self.trainer.lr_scheduler_configs:
            scheduler.scheduler.step()  # type: ignore[call-arg]  # none that waits for a metric
        if self._row_is_due:
            self._log({**self._logged.read(), "images_seen": torch.tensor(float(self.images_seen))})
        self._count_iteration()

    @property
    def _row_is_due(self) -> bool:
        """Return whether this iteration ends with a row of the log."""
        return (self.iteration + 1) % self.trainer.log_every_n_steps == 0  # type: ignore[attr-defined, no-any-return]

    def _log(self, values: dict[str, Tensor]) -> None:
        """Pass values to callbacks and loggers.

        Lightning's `log` would use a step number lower by one, repeat the last value of a term that was not due, and
        take a millisecond for each row.
        """
        self.trainer.callback_metrics.update(values)
        for logger in self.loggers:
            logger.log_metrics({name: float(value) for name, value in values.items()}, step=self.iteration + 1)

    def _count_iteration(self) -> None:
        """Advance Lightning's counter of optimizer steps, which does not see steps of the strategy's optimizers."""
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.increment_ready()
        progress.increment_completed()

    # Lightning's hooks ---------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """Return the sides' optimizers, in their order, and the schedulers of those that have one."""
        optimizers = [
            make_optimizer(name, self.player(name), side, self.spec.shape, self.latent_dim)
            for name, side in self.sides.items()
        ]
        pairs = zip(self.sides.values(), optimizers, strict=True)
        return optimizers, [side.scheduler(optimizer) for side, optimizer in pairs if side.scheduler is not None]

    def train(self, mode: bool = True) -> GenerativeModule:
        """Set the mode of all parts but the average and frozen layers, which stay in evaluation mode.

        The average's batch statistics are averages too, and those of frozen layers must not move.
        """
        super().train(mode)
        for part in (self.average, *chain.from_iterable(self.frozen.values())):
            part.eval()
        return self

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> GenerativeModule:
        """Convert and move all tensors, but keep the average and stateful parts in float32.

        The average is then independent of the precision of training.
        """
        self._members.clear()
        super()._apply(kept_in_float32(self, self.average)(function), recurse)  # type: ignore[no-untyped-call]
        return self

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the recipe, the data's description, counters, running means and every process's random states."""
        data = getattr(self.trainer, "datamodule", None)
        checkpoint["ganlab"] = {
            "recipe": self.recipe,
            "spec": self.spec.plain(),
            "pictures": len(data.train) if data is not None else 0,
            "iteration": self.iteration,
            "images_seen": self.images_seen,
            "logged": {
                "sums": {name: one.clone() for name, one in self._logged.sums.items()},
                "counts": dict(self._logged.counts),
            },
            "random": gather_values(random_states()),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore counters and running means. `on_train_batch_start` restores the random states."""
        self.trainer.precision_plugin.convert_module(self)  # before the weights come, or float64 would be rounded
        saved = checkpoint["ganlab"]
        self.images_seen = saved["images_seen"]
        self._logged = RunningMeans(**saved["logged"])
        self._random = saved["random"]

    def on_train_start(self) -> None:
        """Seed each process differently, so that it draws its own latents. All have started from one seed."""
        self._members.clear()  # Lightning may have replaced layers
        if any(self.frozen.values()) and any(isinstance(part, nn.SyncBatchNorm) for part in self.modules()):
            raise UserError("`trainer.sync_batchnorm` does not go with `freeze`: leave out one of them")
        ask_driver_not_nvml()
        self._steps_directly = may_step_directly(self.trainer)
        if is_distributed():
            self._lending = getattr(self.trainer.strategy, "lending", self._lending)
            self._reducers = {name: self._reducer(name, side) for name, side in self.sides.items()}
            self._lending.start()
            without_signal_exchange(self.trainer)
        seed_per_rank(self.global_rank, self.iteration)

    def _reducer(self, name: str, side: Side) -> Reducer:
        dtype = torch.bfloat16 if side.message_precision == "bfloat16" else None
        parameters = self.members(name).parameters
        if self._lending.layers:
            return Reducer(owned_buckets(parameters, self._lending.owner, dtype))
        return Reducer(shared_buckets(parameters, dtype=dtype))

    def on_train_end(self) -> None:
        """Take the hooks off the parameters, and have all weights here."""
        for reducer in self._reducers.values():
            reducer.remove()
        self._reducers = {}
        self._lending.stop()

    def reseed(self, seed: int) -> None:
        """Continue with another seed than that of the loaded state. Each process draws its own numbers."""
        self._random = None
        torch.manual_seed(seed)
        seed_per_rank(self.global_rank, self.iteration)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Restore the random states immediately before the first batch, so that nothing draws from them in between."""
        if self._random is not None and self.global_rank < len(self._random):
            restore_random_states(self._random[self.global_rank])
        self._random = None
