"""Going back to a checkpoint in the middle of a run. The only file that knows Lightning's loops from within.

After `rewind`, from `on_train_batch_end`, the run is where it was when the checkpoint was written at the same place of
an iteration: weights, averages, optimizers, schedules, counters, running means. Random numbers and the order of the
data come from a new seed, because the old ones led where nobody wants to go again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from ganlab.core.generative import GenerativeModule
from ganlab.data.base import GanData


def another_seed(seed: int, number: int) -> int:
    """Seed number `number` after the run's own, which is number 0."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) if number else seed


def rewind(trainer: pl.Trainer, module: GenerativeModule, data: GanData, file: Path, seed: int) -> None:
    """To what is in `file`, on every process, and on from there by `seed`."""
    _restore(trainer, file)
    for optimizer in trainer.strategy.optimizers:
        optimizer.zero_grad(set_to_none=True)
    module.train()
    module.reseed(seed)
    restream(data, seed)
    _refetch(trainer)


def restream(data: GanData, seed: int) -> None:
    """Batches are a function of the seed and the iteration: from now on of this seed."""
    data.seed = seed


def _restore(trainer: pl.Trainer, file: Path) -> None:
    """As Lightning does before a run that is resumed, but for callbacks, which go on with what they know."""
    connector = trainer._checkpoint_connector
    connector.resume_start(file, weights_only=True)
    connector.restore_model()
    connector.restore_training_state()
    connector.resume_end()
    for loop in _loops(trainer):
        loop.on_iteration_done()  # nothing has been restarted: the same iteration's end goes on


def _loops(trainer: pl.Trainer) -> Iterator[Any]:
    epoch = trainer.fit_loop.epoch_loop
    yield from (trainer.fit_loop, epoch, epoch.val_loop, epoch.automatic_optimization, epoch.manual_optimization)


def _refetch(trainer: pl.Trainer) -> None:
    """A new loader, which starts at the iteration that the counters now say, in the hands of the fetcher in use."""
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
