"""Exact resume: a run that was stopped and resumed is bit for bit the run that never stopped."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn

from ganlab.core.adversarial import AdversarialModule
from ganlab.core.randomness import random_states, restore_random_states, seed_per_rank
from ganlab.core.sides import Side
from ganlab.data.batch import Batch
from ganlab.networks import dcgan
from ganlab.networks.architecture import Architecture
from ganlab.objectives import NonSaturating
from ganlab.regularizers import R1

Make = Callable[..., Any]


class Shaky(nn.Module):
    """Draws from every random generator there is: dropout from torch's, and a number each from numpy's and python's."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.dropout = network, nn.Dropout(0.3)

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return self.network(inputs)
        return self.network(self.dropout(inputs)) * (0.9 + 0.1 * random.random() * float(np.random.random()))


def shaky(make: Callable[..., nn.Module], **kwargs: Any) -> nn.Module:
    network = make(**kwargs)
    made = Shaky(network)
    made.feature_shape = getattr(network, "feature_shape", None)
    return made


class Watch(Callback):
    """Keeps every batch, and everything there is to know at the end."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def on_train_batch_start(self, trainer: Any, pl_module: AdversarialModule, batch: Batch, batch_idx: int) -> None:
        self.batches.append(batch)

    def on_train_end(self, trainer: Any, pl_module: AdversarialModule) -> None:
        self.end = {
            "weights": {name: tensor.clone() for name, tensor in pl_module.state_dict().items()},
            "optimizers": [optimizer.state_dict() for optimizer in trainer.strategy.optimizers],
            "schedulers": [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs],
            "counters": (trainer.global_step, pl_module.images_seen),
            "logged": vars(pl_module._logged),
            "random": random_states(),
        }


@pytest.fixture
def play(vanilla: Make, trainer: Make, noise: Make, adam: Side, tmp_path: Path) -> Callable[..., Watch]:
    """play(iterations, checkpoint=None): three discriminator turns, shaky networks, rates that fall, lazy R1."""
    cosine = partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=20)
    lazy = {"r1": R1(0.1, every=4)}
    network = Architecture(
        partial(shaky, partial(dcgan.Generator, width=4)), partial(shaky, partial(dcgan.Trunk, width=4))
    )

    def run(iterations: int, resume: Path | None = None, workers: int = 0, seed: int = 5) -> Watch:
        seed_per_rank(seed, 0)  # a resumed run owes nothing to what went on before it in its own process
        module = vanilla(
            seed=seed,
            network=network,
            objective=NonSaturating(),
            discriminator=replace(adam, scheduler=cosine, turns=3, clip=5.0, regularizers=lazy),
            generator=replace(adam, scheduler=cosine),
        )
        watch = Watch()
        saving = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=5, save_top_k=-1)
        data = noise(workers=workers, seed=2)
        data.reals_per_iteration = 24
        running = trainer(iterations, callbacks=[watch, saving], log_every_n_steps=100)
        running.fit(module, data, ckpt_path=resume, weights_only=True)
        return watch

    return run


@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_is_bitwise_uninterrupted(play: Callable[..., Watch], same: Make, tmp_path: Path, workers: int) -> None:
    """12 iterations, against 7 that go on from a checkpoint after 5, in a process whose own seed is another."""
    whole = play(12, workers=workers)
    resumed = play(12, resume=tmp_path / "step=5.ckpt", workers=workers, seed=99)
    assert len(resumed.batches) == 7
    assert all(same(vars(a), vars(b)) for a, b in zip(whole.batches[5:], resumed.batches, strict=True))
    for name, value in whole.end.items():
        assert same(value, resumed.end[name]), f"{name} differ"


def test_another_seed_is_another_run(play: Callable[..., Watch], same: Make) -> None:
    """So that the test above means something: nothing here is the same by itself."""
    one, other = play(2), play(2, seed=99)
    assert not same(one.end["weights"], other.end["weights"])
    assert not same(one.end["random"], other.end["random"])


def test_a_checkpoint_holds_only_plain_values(play: Callable[..., Watch], tmp_path: Path) -> None:
    """`weights_only=True` runs nobody's code. The counters are iterations and real images."""
    play(5)
    checkpoint = torch.load(tmp_path / "step=5.ckpt", weights_only=True)
    assert checkpoint["global_step"] == checkpoint["ganlab"]["iteration"] == 5
    assert checkpoint["ganlab"]["images_seen"] == 5 * 24
    assert len(checkpoint["ganlab"]["random"]) == 1
    assert {name.split(".")[0] for name in checkpoint["state_dict"]} == {"generator", "discriminator", "average"}


def draws() -> list[float]:
    return [random.random(), random.gauss(0, 1), float(np.random.randn()), torch.randn(3).sum().item()]


def test_random_states_are_all_of_them() -> None:
    """After an odd number of normal draws python and numpy hold the second of a pair back: that is kept too."""
    random.gauss(0, 1)
    np.random.randn()
    states = random_states()
    first = draws()
    restore_random_states(states)
    assert draws() == first


def test_ranks_draw_numbers_of_their_own() -> None:
    """Every rank, iteration and seed has numbers of its own, the same again next time."""

    def first(seed: int, rank: int, iteration: int) -> tuple[float, ...]:
        torch.manual_seed(seed)
        seed_per_rank(rank, iteration)
        return tuple(draws())

    places = [(0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0), (0, 2, 0)]
    once, again = ([first(*place) for place in places] for _ in range(2))
    assert once == again
    assert all(len(set(column)) == len(places) for column in zip(*once, strict=True))
