"""A game in a few lines, and a discriminator that learns against a fixed generator."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ganlab.callbacks.measurement import undisturbed
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.data.base import GanData
from ganlab.data.batch import Batch, Condition, Fake
from ganlab.networks import mlp
from ganlab.networks.architecture import Architecture
from ganlab.networks.logits import RealismLogit
from ganlab.objectives import Objective
from ganlab.schedules import ConstantThenLinear
from ganlab.variants import VanillaGAN

Source = Callable[[int], Tensor]
"""A function from a number of points to that many points (count, D)."""

Look = Callable[[VanillaGAN], None]


# A discriminator alone --------------------------------------------------------------------------------------------


def discriminator(dims: int, width: int = 64, depth: int = 2) -> nn.Sequential:
    """Return a fully connected trunk with a logit: (N, dims) -> (N,)."""
    trunk = mlp.Trunk((dims,), width, depth)
    return nn.Sequential(trunk, RealismLogit(trunk.feature_shape))


def falling(rate: float, steps: int, **kwargs: Any) -> Side:
    """Return a side that learns by Adam, with a rate that falls to zero over the second half of `steps`."""
    optimizer = partial(torch.optim.Adam, lr=rate, betas=(0.9, 0.99), fused=True)
    return Side(optimizer, scheduler=partial(ConstantThenLinear, hold=0.5, end=steps), **kwargs)


def learning(
    network: nn.Module, objective: Objective, side: Side, real: Source, fake: Source, steps: int, batch: int = 256
) -> Iterator[int]:
    """Run the discriminator's turns against fixed sources. Yield after each turn the number of turns so far."""
    side.constraint.start(network)
    optimizer = side.optimizer(network.parameters())
    scheduler = side.scheduler(optimizer) if side.scheduler else None
    for step in range(steps):
        x, y = real(batch), fake(batch)
        optimizer.zero_grad(set_to_none=True)
        _loss(network, objective, side, x, y, step).backward()
        optimizer.step()
        side.constraint.enforce(network)
        if scheduler:
            scheduler.step()
        yield step + 1


def _loss(network: nn.Module, objective: Objective, side: Side, real: Tensor, fake: Tensor, step: int) -> Tensor:
    def critic(points: Tensor, condition: Condition) -> Tensor:
        return network(points)

    generated = Fake(fake, fake.new_empty(len(fake), 0))
    penalties = (r(critic, Batch(real), generated) for r in side.regularizers.values() if r.due(step))
    return sum((term.mean() for term in penalties), objective.discriminator(network(real), network(fake)).mean())


def learn(*args: Any, **kwargs: Any) -> None:
    """Run `learning` to its end."""
    deque(learning(*args, **kwargs), maxlen=0)


def shuffled(points: Tensor) -> Source:
    """Return a training set as a source: rows are drawn at random, with replacement."""
    return lambda count: points[torch.randint(len(points), (count,))]


@torch.no_grad()
def reading(network: nn.Module, objective: Objective, real: Tensor, fake: Tensor) -> float:
    """Return the discriminator's estimate of the divergence on these points."""
    return float(objective.divergence(network(real), network(fake)))


# A game of two ----------------------------------------------------------------------------------------------------


def adam(rate: float, **kwargs: Any) -> Side:
    """Return a side that learns by Adam without momentum.

    With momentum the two players overshoot (Mescheder et al. 2018).
    """
    return Side(partial(torch.optim.Adam, lr=rate, betas=(0.0, 0.99), fused=True), **kwargs)


def fully_connected(width: int = 64, depth: int = 2) -> Architecture:
    """Return fully connected networks with `depth` hidden layers of `width` on both sides."""
    return Architecture(partial(mlp.Generator, width=width, depth=depth), partial(mlp.Trunk, width=width, depth=depth))


def game(
    data: GanData,
    network: Architecture,
    objective: Objective,
    generator: Side,
    discriminator: Side,
    latent_dim: int,
    average: float = 0.0,
) -> VanillaGAN:
    """Return the original game on these data.

    `average` is the half-life, in images, of the shown generator (0: the trained one).
    """
    data.setup()
    return VanillaGAN(data.spec, network, objective, generator, discriminator, MovingAverage(average), latent_dim)


class _Watch(pl.Callback):
    """A callback that calls `look` before the first iteration and after every `every`-th."""

    def __init__(self, look: Look, every: int) -> None:
        self.look, self.every = look, every

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._look(module)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if module.iteration % self.every == 0:
            self._look(module)

    def _look(self, module: Any) -> None:
        with undisturbed():
            self.look(module)


def play(module: VanillaGAN, data: GanData, iterations: int, batch: int, look: Look, every: int) -> None:
    """Play `iterations` of the game on the CPU. Calls of `look` do not change it."""
    data.reals_per_iteration = batch * module.sides["discriminator"].turns
    trainer = pl.Trainer(
        max_steps=iterations,
        max_epochs=-1,
        accelerator="cpu",
        devices=1,
        logger=False,
        callbacks=[_Watch(look, every)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=data)
