"""Return to a checkpoint in the middle of a run, and change the rates and the noise from there.

This is the only file that uses the internals of Lightning's loops. After `rewind`, called in `on_train_batch_end`, the
run is where it was when the checkpoint was written at the same point of an iteration: weights, averages, optimizers,
schedules, counters and running means. Random numbers and the order of the data come from a new seed, because the old
one led to the collapse.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from ganlab.core.generative import GenerativeModule
from ganlab.data.base import GanData
from ganlab.perturbations import InstanceNoise


def derived_seed(seed: int, number: int) -> int:
    """Return seed number `number` of the run; number 0 is the run's own seed."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) if number else seed


# Rewind ------------------------------------------------------------------------------------------------------------


def rewind(trainer: pl.Trainer, module: GenerativeModule, data: GanData, file: Path, seed: int) -> None:
    """Restore the checkpoint `file` on every process, and continue from there with `seed`."""
    with module.whole():
        _restore(trainer, file)
    for optimizer in trainer.strategy.optimizers:
        optimizer.zero_grad(set_to_none=True)
    module.train()
    module.reseed(seed)
    set_data_seed(data, seed)
    _refetch(trainer)


def set_data_seed(data: GanData, seed: int) -> None:
    """Set the seed that determines, together with the iteration, each batch from now on."""
    data.seed = seed


def _restore(trainer: pl.Trainer, file: Path) -> None:
    """Restore as Lightning does before it resumes a run, except the callbacks, which keep what they know."""
    connector = trainer._checkpoint_connector
    connector.resume_start(file, weights_only=True)
    connector.restore_model()
    connector.restore_training_state()
    connector.resume_end()
    for loop in _loops(trainer):
        loop.on_iteration_done()  # the loops are not restarted: they continue the end of the same iteration


def _loops(trainer: pl.Trainer) -> Iterator[Any]:
    epoch = trainer.fit_loop.epoch_loop
    yield from (trainer.fit_loop, epoch, epoch.val_loop, epoch.automatic_optimization, epoch.manual_optimization)


def _refetch(trainer: pl.Trainer) -> None:
    """Give the fetcher in use a new loader, which starts at the iteration of the restored counters."""
    loop = trainer.fit_loop
    fetcher = loop._data_fetcher
    assert fetcher is not None
    fetcher.teardown()
    loop._combined_loader = None
    loop.setup_data()
    assert loop._combined_loader is not None
    fetcher.setup(loop._combined_loader)
    iter(fetcher)
    loop._data_fetcher = fetcher


# Changes -----------------------------------------------------------------------------------------------------------


def scale_rates(trainer: pl.Trainer, factor: float) -> None:
    """Multiply every learning rate, current and scheduled, by `factor`. Checkpoints store both."""
    for optimizer in trainer.strategy.optimizers:
        for group in optimizer.param_groups:
            for name in ("lr", "initial_lr"):
                if name in group:
                    group[name] = group[name] * factor
    for config in trainer.lr_scheduler_configs:
        scheduler: Any = config.scheduler
        scheduler.base_lrs = [rate * factor for rate in scheduler.base_lrs]
        scheduler._last_lr = [rate * factor for rate in scheduler._last_lr]


class FadingNoise:
    """Puts `InstanceNoise` before the discriminators of a module that was made without it."""

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []

    def attach(self, module: GenerativeModule, sigma: float, start: int, length: int) -> None:
        """Add noise of standard deviation `sigma`, and remove the noise of an earlier call.

        It falls linearly from `start` images seen to 0 over `length` images.
        """
        for handle in self._handles:
            handle.remove()
        noise, no_logits = InstanceNoise(sigma, until=length).double(), torch.empty(0)

        def add_noise(part: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            noise.advance(module.images_seen - start, no_logits, no_logits)
            return (noise(inputs[0]), *inputs[1:]) if noise.sigma else inputs

        self._handles = [part.register_forward_pre_hook(add_noise) for part in module.discriminators] if sigma else []
