"""Two processes go back together, whichever of them found the reason. The tests start this very file twice."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.distributed as dist

from ganlab.callbacks.checkpoints import Checkpoints
from ganlab.callbacks.collapse import CollapseMonitor
from ganlab.collapse import detector
from ganlab.collapse.detector import LossEvaluator
from ganlab.collapse.missing import MissingParts
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.core.strategies import TwoPlayerStrategy
from ganlab.data.toy import ToyData, ring
from ganlab.networks import mlp
from ganlab.networks.architecture import Architecture
from ganlab.objectives import NonSaturating
from ganlab.variants import VanillaGAN
from tests.two_processes import found_by_two

BATCH, LAST = 4, 30


class Steps(pl.Callback):
    """The iterations that this process played, in order."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        self.steps.append(trainer.global_step)


class Scripted(LossEvaluator):
    """Bad at the ninth and tenth look, after iterations 18 and 20. Only rank 0 decides: the other has to be told."""

    looked = 0

    def evaluate(self, module: Any, samples: Any) -> dict[str, float]:
        self.looked += 1
        loss = 0.95 if self.looked in (9, 10) else 0.1
        return dict.fromkeys(self.tolerances, loss)

    def missing(self) -> MissingParts:
        return MissingParts([], 20, {}, [])

    def exhibit(self) -> None:
        return None


def play(folder: Path) -> dict[str, Any]:
    detector.LossEvaluator = Scripted  # type: ignore[misc]
    adam = Side(partial(torch.optim.Adam, lr=1e-2))
    network = Architecture(partial(mlp.Generator, width=8, depth=2), partial(mlp.Trunk, width=8, depth=2))
    data = ToyData(ring(), count=400, held_out_count=100)
    data.setup()
    data.reals_per_iteration = BATCH
    module = VanillaGAN(data.spec, network, NonSaturating(), adam, adam, MovingAverage(50, 1.0), latent_dim=2)
    monitor = CollapseMonitor(every=2 * 2 * BATCH, count=100, on_collapse="rollback", patience=10_000)
    seen = Steps()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    two = {"accelerator": "cpu", "devices": 2, "strategy": TwoPlayerStrategy(), "enable_checkpointing": False}
    callbacks = [monitor, Checkpoints(), seen]
    trainer = pl.Trainer(max_steps=LAST, callbacks=callbacks, default_root_dir=folder / "run", **quiet, **two)
    trainer.fit(module, data)
    return {
        "state": module.state_dict(),
        "counts": (trainer.global_step, module.images_seen),
        "rollbacks": monitor.policy.state()["rollbacks"],
        "alarms": [asdict(alarm) for alarm in monitor.alarms],
        "steps": seen.steps,
        "latent": module.draw_latent(2),
    }


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.save(play(folder), folder / f"{os.environ['LOCAL_RANK']}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> list[dict[str, Any]]:
    """What the two processes found."""
    folder = tmp_path_factory.mktemp("two")
    return found_by_two(__file__, folder, free_port(), GANLAB_CACHE=str(folder / "cache"))


def test_both_went_back_and_on_to_the_end(ranks: list[dict[str, Any]]) -> None:
    one, other = ranks
    assert one["counts"] == other["counts"] == (LAST, LAST * 2 * BATCH)
    assert len(one["rollbacks"]) == 1 and one["rollbacks"] == other["rollbacks"]
    assert one["alarms"] == other["alarms"]
    (back,) = one["rollbacks"]
    assert (back["from_iteration"], back["to_iteration"]) == (20, 16)
    assert one["steps"] == other["steps"] == [*range(20), *range(16, LAST)]


def test_both_end_with_the_same_players_and_latents_of_their_own(ranks: list[dict[str, Any]]) -> None:
    one, other = ranks
    assert [name for name in one["state"] if not torch.equal(one["state"][name], other["state"][name])] == []
    assert not torch.equal(one["latent"], other["latent"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
