"""What every component promises, whoever wrote it: found by its base class, played in a small game.

Objectives, heads, perturbations and networks have their contracts in files of their own, which find them likewise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from ganlab.config.catalog import recipe_folder
from ganlab.constraints import Constraint
from ganlab.core.generative import GenerativeModule
from ganlab.core.sides import Side
from ganlab.data.base import GanData
from ganlab.data.batch import Batch
from ganlab.data.toy import ring
from ganlab.errors import UserError
from ganlab.networks import fastgan, mlp, stylegan2
from ganlab.networks.architecture import Architecture
from ganlab.objectives import Objective
from ganlab.regularizers import Regularizer
from ganlab.schedules import HalfCosine, Schedule
from ganlab.variants import VanillaGAN
from tests.components import components, every, examples, import_all

Make = Callable[..., Any]
NETWORKS = {
    "mlp": Architecture(partial(mlp.Generator, width=8), partial(mlp.Trunk, width=8)),
    "stylegan2": Architecture(
        partial(stylegan2.Generator, width=2, style_dim=6, depth=2), partial(stylegan2.Trunk, width=2)
    ),
    "fastgan": Architecture(partial(fastgan.Generator, width=2, limit=4), partial(fastgan.Trunk, width=2, limit=4)),
}
"""Some penalties need a network of one kind, and refuse others."""


def by_name(kind: type) -> str:
    return kind.__name__


# Finding -------------------------------------------------------------------------------------------------------------


def test_a_class_is_found_because_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another package, which no test names; abstract and private classes are no components."""
    (tmp_path / "dropped" / "deeper").mkdir(parents=True)
    for folder in ("dropped", "dropped/deeper"):
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "dropped" / "deeper" / "mine.py").write_text(
        "from abc import ABC\n"
        "from ganlab.constraints import Constraint, Unconstrained\n"
        "class Halfway(Constraint, ABC): ...\n"
        "class _Hidden(Unconstrained): ...\n"
        "class Mine(Halfway):\n"
        "    def __init__(self, limit: int, share: float) -> None:\n"
        "        self.settings = limit, share\n"
        "    def start(self, network): ...\n"
        "    def enforce(self, network): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert [kind.__name__ for kind in components(Constraint, "dropped")] == ["Mine"]
    (made,) = every(Constraint, "dropped")
    assert made.settings == (1, 1.0)
    assert "Mine" not in map(by_name, components(Constraint))


def test_every_base_has_components_and_every_file_is_looked_at() -> None:
    assert {"ganlab.objectives", "ganlab.networks.heads", "ganlab.data.folder"} <= set(import_all())
    for base in (Objective, Regularizer, Constraint, Schedule, LRScheduler, GanData, GenerativeModule):
        assert components(base), base


@pytest.mark.parametrize("kind", components(GenerativeModule), ids=by_name)
def test_a_variant_is_final(kind: type[GenerativeModule]) -> None:
    """What variants share is functions and abstract classes: no variant is another with changes."""
    assert not [one for one in kind.__subclasses__() if one.__module__.startswith("ganlab.")]


# Penalties -----------------------------------------------------------------------------------------------------------


def side_of(kind: type[Regularizer]) -> str:
    """The player that a penalty is for, by the group of its recipe file; the discriminator if it has none."""
    files = (recipe_folder() / "generator_regularizer").glob("*.yaml")
    return "generator" if any(f".{kind.__name__}," in file.read_text() for file in files) else "discriminator"


def penalized(kind: type[Regularizer], vanilla: Make, adam: Side) -> VanillaGAN:
    """A game with the penalty, with the first network that it does not refuse."""
    for network in NETWORKS.values():
        (penalty,) = examples(kind, weight=1.0, every=1)
        try:
            module: VanillaGAN = vanilla(
                network=network, **{side_of(kind): replace(adam, regularizers={"mine": penalty})}
            )
        except UserError as refusal:
            assert "pass network=" in str(refusal)
            continue
        return module
    raise AssertionError(f"{kind.__name__} takes none of the networks {', '.join(NETWORKS)}")


@pytest.mark.parametrize("kind", components(Regularizer), ids=by_name)
def test_a_penalty_plays(kind: type[Regularizer], vanilla: Make, adam: Side, trainer: Make, noise: Make) -> None:
    """One float32 number a sample, which trains its own side, doubles with its weight, and stays finite in a game."""
    module = penalized(kind, vanilla, adam)
    side, batch = side_of(kind), Batch(torch.rand(4, 1, 16, 16) * 2 - 1)
    with torch.no_grad():
        for parameter in module.discriminator.parameters():
            parameter.mul_(4)  # slopes of more than 1
    state = copy.deepcopy(module.state_dict())

    def term() -> Tensor:
        module.load_state_dict(state)
        torch.manual_seed(1)
        found = module.penalties(side, batch, module.generate(batch))["mine"]
        assert isinstance(found, Tensor)
        return found

    single = term()
    assert single.shape == (4,) and single.dtype == torch.float32 and single.isfinite().all()
    single.mean().backward()
    moved = [p.grad.abs().sum() for p in module.player(side).parameters() if p.grad is not None]
    assert sum(moved) > 0
    module.sides[side].regularizers["mine"].weight = 2.0
    torch.testing.assert_close(term(), 2 * single)
    module.zero_grad(set_to_none=True)
    trainer(2).fit(module, noise())
    assert all(tensor.isfinite().all() for tensor in module.state_dict().values())


# Constraints ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", components(Constraint), ids=by_name)
def test_a_constraint_plays(
    kind: type[Constraint], vanilla: Make, plain: Architecture, adam: Side, trainer: Make, noise: Make
) -> None:
    """Both players learn under it, stay finite, and a state taken from one game fits into another."""
    side = replace(adam, constraint=examples(kind)[0])
    module, other = (vanilla(network=plain, generator=side, discriminator=side) for _ in range(2))
    before = copy.deepcopy(module.state_dict())
    trainer(2).fit(module, noise())
    after = module.state_dict()
    for player in ("generator", "discriminator"):
        assert any(not torch.equal(after[name], before[name]) for name in after if name.startswith(player))
    assert all(tensor.isfinite().all() for tensor in after.values())
    other.load_state_dict(after)
    latent = module.draw_latent(3)
    assert torch.equal(other.sample(latent), module.sample(latent))
    again = copy.deepcopy(after)
    side.constraint.enforce(module.generator)
    torch.testing.assert_close(module.state_dict(), again)


# Schedules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", components(Schedule), ids=by_name)
def test_a_schedule_is_a_function_of_the_iteration(kind: type[Schedule]) -> None:
    (schedule,) = examples(kind, start=2.0, final=1.0, end=8)
    values = [schedule(at) for at in range(12)]
    assert values == [schedule(at) for at in reversed(range(12))][::-1]
    assert np.isfinite(values).all()


@pytest.mark.parametrize("kind", components(LRScheduler), ids=by_name)
def test_a_learning_rate_goes_on_where_it_was(kind: type[LRScheduler]) -> None:
    """Finite and at least 0 all the way; stopped anywhere and resumed, it is the same; its state is plain values."""

    def start() -> tuple[torch.optim.Optimizer, LRScheduler]:
        optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=2.0)
        given = {"end": 6, "ends": [3, 6], "rate": HalfCosine(1.0, 0.5, end=6)}
        (schedule,) = examples(kind, optimizer=optimizer, **given)
        return optimizer, schedule

    def follow(optimizer: torch.optim.Optimizer, schedule: LRScheduler, count: int) -> list[float]:
        rates = []
        for _ in range(count):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            schedule.step()
        return rates

    whole = follow(*start(), 8)
    assert np.isfinite(whole).all() and min(whole) >= 0
    for stopped in (1, 3, 7):
        optimizer, schedule = start()
        follow(optimizer, schedule, stopped)
        other, resumed = start()
        other.load_state_dict(optimizer.state_dict())
        resumed.load_state_dict(schedule.state_dict())
        assert follow(other, resumed, 8 - stopped) == pytest.approx(whole[stopped:])


# Data ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", components(GanData), ids=by_name)
def test_a_data_set_is_what_it_says(kind: type[GanData], mnist: Path) -> None:
    """Its pictures have the shape and its conditions the kind of its `spec`, in training and held out, every time.

    A data set of files is given a folder with MNIST; if it reads other files, it must say so in one line.
    """
    given = {"root": str(mnist), "download": False, "count": 40, "held_out_count": 20, "size": 64, "mixture": ring()}
    given |= {"images": np.zeros((100, 16, 16, 3), np.uint8)}
    (data,) = examples(kind, **given)
    try:
        data.setup()
    except UserError as refusal:
        assert "root" in str(refusal) or str(mnist) in str(refusal)
        assert "\n" not in str(refusal)
        return
    assert data.spec.kind in data.kinds
    for pictures in (data.train, data.reference):
        batch = pictures.batch(np.arange(4), np.random.default_rng(0))
        assert batch.images.shape == (4, *data.spec.shape)
        assert batch.images.dtype == (torch.uint8 if len(data.spec.shape) == 3 else torch.float32)
        assert torch.equal(batch.images, pictures.batch(np.arange(4), np.random.default_rng(0)).images)
        ready = batch.ready().images
        assert ready.isfinite().all() and (len(data.spec.shape) == 1 or ready.abs().max() <= 1)
        for condition in (batch.condition, batch.mismatched):
            assert (condition is None) == (data.spec.kind == "none") or condition is batch.mismatched
        if data.spec.kind == "class":
            assert isinstance(batch.condition, torch.Tensor) and batch.condition.max() < len(data.spec.classes)
        if data.spec.kind == "text":
            assert isinstance(batch.condition, list) and all(isinstance(one, str) for one in batch.condition)
