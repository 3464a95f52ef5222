"""Two processes divide the optimizers' states, or also the weights. The tests start this very file twice."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import Tensor
from torch.amp import GradScaler

from ganlab.constraints import SpectralNormalization, WeightClipping
from ganlab.core.averaging import MovingAverage
from ganlab.core.sharding import owners
from ganlab.core.sides import Side
from ganlab.core.strategies import STRATEGIES
from ganlab.data.base import DataSpec, GanData
from ganlab.data.pictures import Pictures
from ganlab.networks import dcgan
from ganlab.networks.architecture import Architecture
from ganlab.objectives import NonSaturating
from ganlab.regularizers import R1
from ganlab.variants import VanillaGAN
from tests.two_processes import found_by_two

BATCH, LONG, SAVED = 4, 5, 2  # of one process; iterations; after how many of them a checkpoint is kept
SPEC = DataSpec((1, 16, 16))
SETTINGS = {
    "adam": Side(
        partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.99)),
        partial(torch.optim.lr_scheduler.LinearLR, end_factor=0.1, total_iters=LONG),
        accumulate=2,
        clip=1.0,
        layer_decay=0.5,
    ),
    "fused": Side(partial(torch.optim.AdamW, lr=1e-2, fused=True), freeze=1, clip=0.5),
    "momentum": Side(partial(torch.optim.SGD, lr=1e-2, momentum=0.9), turns=2),
    "adagrad": Side(partial(torch.optim.Adagrad, lr=1e-2)),
    "clipped": Side(
        partial(torch.optim.RMSprop, lr=1e-2), constraint=WeightClipping(0.03), message_precision="bfloat16"
    ),
    "spectral": Side(partial(torch.optim.Adam, lr=1e-2), constraint=SpectralNormalization(), checkpoint_blocks=True),
    "scaled": Side(partial(torch.optim.Adam, lr=1e-2), clip=0.5, penalty_precision="float32"),
    "scaled_fused": Side(partial(torch.optim.Adam, lr=1e-2, fused=True), clip=0.5, penalty_precision="float32"),
}
CASES = [
    (name, strategy)
    for name in SETTINGS
    for strategy in ("zero1", "fsdp")
    if strategy == "zero1" or not name.startswith("scaled")
]
SCALE = 2.0**18  # of float16's loss: the first steps overflow and are skipped, and each halves the scale


class Noise(GanData):
    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        pictures = Pictures(np.random.default_rng(0).integers(0, 256, (40, *SPEC.shape), dtype=np.uint8))
        return pictures, pictures, SPEC


class States(pl.Callback):
    """Counts the numbers in this process's optimizer states at the end, and the bytes of weights after an iteration."""

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        self.weights = sum(each.untyped_storage().nbytes() for each in module.parameters())
        self.gradients = sum(each.grad is not None for each in module.parameters())

    def on_train_end(self, trainer: Any, module: Any) -> None:
        states = [state for one in trainer.strategy.optimizers for state in one.state.values()]
        self.numbers = sum(map(numbers, states))


def numbers(state: dict[str, Any]) -> int:
    """How many numbers a parameter's state has, without scalars."""
    return sum(value.numel() for value in state.values() if isinstance(value, Tensor) and value.dim())


def play(name: str, folder: Path, devices: int = 2, strategy: str = "zero1", resume: str | None = None) -> Any:
    """Two sides with R1 and batch normalization. Return the weights, and what this process kept."""
    torch.manual_seed(0)
    side = SETTINGS[name]
    network = Architecture(partial(dcgan.Generator, width=4), partial(dcgan.Trunk, width=4))
    judge = replace(side, regularizers={"r1": R1(1.0)})
    module = VanillaGAN(SPEC, network, NonSaturating(), side, judge, MovingAverage(50, 1.0), latent_dim=4)
    data = Noise()
    data.reals_per_iteration = BATCH * side.turns * 2 // devices
    states = States()
    saving = ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    how: dict[str, Any] = {"devices": devices, "strategy": STRATEGIES[strategy]() if devices > 1 else "auto"}
    if name.startswith("scaled"):
        how["plugins"] = [MixedPrecision("16-mixed", "cpu", GradScaler("cpu", init_scale=SCALE))]
    trainer = pl.Trainer(max_steps=LONG, accelerator="cpu", callbacks=[states, saving], **quiet, **how)
    trainer.fit(module, data, ckpt_path=resume, weights_only=True)
    counts = {"numbers": states.numbers, "bytes": states.weights, "gradients": states.gradients}
    return {"weights": module.state_dict(), **counts}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    found: dict[tuple[str, ...], Any] = {}
    for name, strategy in [*CASES, *((name, "auto") for name in SETTINGS)]:
        found[name, strategy] = play(name, folder / name / strategy, strategy=strategy)
    for name, strategy in CASES:
        for first, then in ((strategy, strategy), (strategy, "auto"), ("auto", strategy)):
            start = str(folder / name / first / f"step={SAVED}.ckpt")
            found[name, first, then] = play(name, folder / name / f"{first}-{then}", strategy=then, resume=start)
    for strategy in ("zero1", "fsdp", "auto"):
        start = str(folder / "adam" / "one" / f"step={SAVED}.ckpt")
        found["adam", "one", strategy] = play("adam", folder / f"one-{strategy}", 2, strategy, start)
    torch.save({"/".join(key): one for key, one in found.items()}, folder / f"{os.environ['LOCAL_RANK']}.pt")
    dist.destroy_process_group()


# The tests -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all checkpoints."""
    return tmp_path_factory.mktemp("sharded")


@pytest.fixture(scope="module")
def ranks(folder: Path, free_port: Callable[[], int]) -> list[dict[str, Any]]:
    """What the two processes found, after one process alone."""
    play("adam", folder / "adam" / "one", 1)
    return found_by_two(__file__, folder, free_port())


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


@pytest.mark.parametrize(("name", "strategy"), CASES)
def test_the_weights_are_those_without_sharding(ranks: list[dict[str, Any]], name: str, strategy: str) -> None:
    """Bit for bit, on both processes."""
    for rank in ranks:
        assert differing(rank[f"{name}/{strategy}"]["weights"], ranks[0][f"{name}/auto"]["weights"]) == []


@pytest.mark.parametrize(("name", "strategy"), CASES)
def test_the_states_are_divided(ranks: list[dict[str, Any]], folder: Path, name: str, strategy: str) -> None:
    """Together the two have the numbers of one without sharding. They are apart by one layer of a side at most."""
    shares = [rank[f"{name}/{strategy}"]["numbers"] for rank in ranks]
    assert sum(shares) == ranks[0][f"{name}/auto"]["numbers"] > 0
    sides = torch.load(folder / name / "auto" / f"step={LONG}.ckpt", weights_only=True)["optimizer_states"]
    largest = [max(map(numbers, side["state"].values())) for side in sides]
    assert min(shares) > 0
    assert max(shares) - min(shares) <= (1 if strategy == "zero1" else 1.1) * sum(largest)  # 1.1: kernel and bias


@pytest.mark.parametrize("name", [name for name, strategy in CASES if strategy == "fsdp"])
def test_weights_live_on_one_process_each(ranks: list[dict[str, Any]], name: str) -> None:
    """After an iteration the two together have the bytes of one without sharding, each about half; no gradients."""
    whole = ranks[0][f"{name}/auto"]["bytes"]
    shares = [rank[f"{name}/fsdp"]["bytes"] for rank in ranks]
    assert sum(shares) == whole and min(shares) > 0.3 * whole
    assert [rank[f"{name}/zero1"]["bytes"] for rank in ranks] == [whole, whole]
    assert [rank[f"{name}/fsdp"]["gradients"] for rank in ranks] == [0, 0]


@pytest.mark.parametrize(("name", "strategy"), CASES)
def test_a_checkpoint_is_that_of_a_run_without_sharding(
    ranks: list[Any], folder: Path, name: str, strategy: str
) -> None:
    """Every state, scheduler and weight, bit for bit, in the same memory layout."""
    one, other = (
        torch.load(folder / name / which / f"step={SAVED}.ckpt", weights_only=True) for which in (strategy, "auto")
    )
    assert differing(one["state_dict"], other["state_dict"]) == []
    assert one["lr_schedulers"] == other["lr_schedulers"]
    for mine, theirs in zip(one["optimizer_states"], other["optimizer_states"], strict=True):
        assert mine["param_groups"] == theirs["param_groups"]
        assert list(mine["state"]) == list(theirs["state"])
        for number, state in theirs["state"].items():
            torch.testing.assert_close(mine["state"][number], state, rtol=0, atol=0, check_stride=True)


@pytest.mark.parametrize(("name", "strategy"), CASES)
@pytest.mark.parametrize("way", ["{0}/{0}", "{0}/auto", "auto/{0}"])
def test_a_run_goes_on_with_or_without_sharding(ranks: list[Any], name: str, strategy: str, way: str) -> None:
    """The weights at the end are those of the run that never stopped."""
    for rank in ranks:
        assert differing(rank[f"{name}/{way.format(strategy)}"]["weights"], rank[f"{name}/auto"]["weights"]) == []


@pytest.mark.parametrize("name", ["scaled", "scaled_fused"])
def test_a_loss_scale_skips_the_same_steps(ranks: list[dict[str, Any]], folder: Path, name: str) -> None:
    """Some steps overflow and some do not, or the tests above would mean little. The scale is that without sharding."""
    one, other = (
        torch.load(folder / name / strategy / f"step={LONG}.ckpt", weights_only=True) for strategy in ("zero1", "auto")
    )
    assert one["MixedPrecision"] == other["MixedPrecision"]
    assert one["MixedPrecision"]["scale"] < SCALE
    assert all(0 < float(state["step"]) < LONG for state in one["optimizer_states"][0]["state"].values())


def test_one_process_goes_on(ranks: list[dict[str, Any]], folder: Path) -> None:
    """From the checkpoint of two sharded processes one process makes what it makes of two ordinary ones."""
    zero1, fsdp, auto = (
        play("adam", file.parent, 1, resume=str(file))["weights"]
        for file in (folder / "adam" / strategy / f"step={SAVED}.ckpt" for strategy in ("zero1", "fsdp", "auto"))
    )
    assert differing(zero1, auto) == differing(fsdp, auto) == []
    assert differing(auto, ranks[0]["adam/auto"]["weights"]) != []


@pytest.mark.parametrize("strategy", ["zero1", "fsdp"])
def test_two_go_on_where_one_stopped(ranks: list[dict[str, Any]], strategy: str) -> None:
    """Two sharded processes make of one process's checkpoint what two ordinary ones make of it."""
    for rank in ranks:
        assert differing(rank[f"adam/one/{strategy}"]["weights"], ranks[0]["adam/one/auto"]["weights"]) == []


def test_each_process_owns_about_as_much() -> None:
    """Powers of 1.1 in four processes: they are apart by less than the smallest size; the largest goes to the first."""
    sizes = [int(100 * 1.1**power) for power in range(50)]
    found = owners(sizes, 4)
    loads = [sum(size for size, owner in zip(sizes, found, strict=True) if owner == each) for each in range(4)]
    assert found[-1] == 0
    assert max(loads) - min(loads) <= sizes[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
