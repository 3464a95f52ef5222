"""Two processes play one game. The tests start this very file twice, as Lightning's launcher would."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
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
from torch import Tensor, nn

from ganlab import processes
from ganlab.core.averaging import MovingAverage
from ganlab.core.reducer import Reducer, shared_buckets
from ganlab.core.sides import Side
from ganlab.core.strategies import TwoPlayerStrategy
from ganlab.data.base import DataSpec, GanData
from ganlab.data.batch import Batch, Fake
from ganlab.data.pictures import Pictures
from ganlab.networks import dcgan, mlp
from ganlab.networks.architecture import Architecture
from ganlab.objectives import NonSaturating
from ganlab.perturbations import AdaptiveAugmentation
from ganlab.processes import average_across_processes
from ganlab.regularizers import R1, LeCam, PathLength, path_lengths
from ganlab.variants import VanillaGAN
from tests.two_processes import found_by_two

BATCH = 4  # of one process
LONG = 6  # iterations
RESUMED = (2, 3, 5)  # after how many of them
SPEC = DataSpec((1, 16, 16))
CONVOLUTIONAL = Architecture(
    partial(dcgan.Generator, width=4),
    partial(dcgan.Trunk, width=4),
    perturbations={"adaptive": AdaptiveAugmentation(target=0.0, speed=100, every=1)},
)
PLAIN = Architecture(partial(mlp.Generator, width=8, depth=2), partial(mlp.Trunk, width=8, depth=2))


class Noise(GanData):
    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        pictures = Pictures(np.random.default_rng(0).integers(0, 256, (40, *SPEC.shape), dtype=np.uint8))
        return pictures, pictures, SPEC


def game(network: Architecture, seed: int, side: Side) -> VanillaGAN:
    torch.manual_seed(seed)
    penalized = replace(side, regularizers={"r1": R1(1.0), "lecam": LeCam(0.3, decay=0.5)})
    return VanillaGAN(SPEC, network, NonSaturating(), side, penalized, MovingAverage(50, 1.0), latent_dim=4)


def fit(module: VanillaGAN, iterations: int, reals: int, resume: str | None = None, **kwargs: Any) -> None:
    data = Noise()
    data.reals_per_iteration = reals
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(max_steps=iterations, accelerator="cpu", **quiet, **kwargs)
    trainer.fit(module, data, ckpt_path=resume, weights_only=True)


def pool() -> Tensor:
    """(iterations, 2 BATCH, latent_dim): latents for a game in one process, or for two."""
    return torch.randn(3, 2 * BATCH, 4, generator=torch.Generator().manual_seed(1))


def feed(module: VanillaGAN, latents: Tensor) -> None:
    turns: Iterator[Tensor] = iter(latents)
    module.draw_latent = lambda count, generator=None: next(turns)  # type: ignore[method-assign]


# What each of the two processes does ---------------------------------------------------------------------------------


def two(**kwargs: Any) -> dict[str, Any]:
    return {"devices": 2, "strategy": TwoPlayerStrategy(), **kwargs}


def play(rank: int, folder: Path, **settings: Any) -> dict[str, Any]:
    """Batch normalization, R1, LeCam, adaptive augmentation; weights that differ at first; a checkpoint every time."""
    adam = Side(partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.99)), clip=5.0, **settings)
    module = game(CONVOLUTIONAL, rank, adam)
    latents: list[Tensor] = []
    draw = module.draw_latent

    def keep(count: int, generator: torch.Generator | None = None) -> Tensor:
        latents.append(draw(count, generator))
        return latents[-1]

    module.draw_latent = keep  # type: ignore[method-assign]
    saving = ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1)
    fit(module, LONG, BATCH, **two(callbacks=[saving]))
    return {"state": module.state_dict(), "latents": latents, "images_seen": module.images_seen}


def resume(rank: int, folder: Path, done: int) -> dict[str, Any]:
    """On from the checkpoint after `done` iterations, with other weights and random states before."""
    adam = Side(partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.99)), clip=5.0)
    module = game(CONVOLUTIONAL, 9, adam)
    fit(module, LONG, BATCH, str(folder / f"step={done}.ckpt"), **two(enable_checkpointing=False))
    return module.state_dict()


class Messages(pl.Callback):
    """Counts the messages of training by the function that sends them."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.bytes = 0

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self.before = {name: getattr(dist, name) for name in ("all_reduce", "broadcast", "barrier", "all_gather")}
        for name, send in self.before.items():
            setattr(dist, name, partial(self._count, name, send))

    def _count(self, name: str, send: Callable[..., Any], tensor: Tensor, **kwargs: Any) -> Any:
        self.sent[name] += 1
        self.bytes += tensor.nbytes
        return send(tensor, **kwargs)

    def on_train_end(self, trainer: Any, module: Any) -> None:
        for name, send in self.before.items():
            setattr(dist, name, send)


def halves(rank: int) -> dict[str, Any]:
    """Plain gradient descent, this process's half of the latents."""
    module = game(PLAIN, 0, Side(partial(torch.optim.SGD, lr=0.1)))
    feed(module, pool()[:, rank * BATCH : (rank + 1) * BATCH])
    messages = Messages()
    fit(module, 3, BATCH, **two(enable_checkpointing=False, callbacks=[messages]))
    return {"state": module.state_dict(), "messages": dict(messages.sent), "bytes": messages.bytes}


def short_messages(rank: int) -> dict[str, Any]:
    """The game of `halves` with messages in bfloat16."""
    module = game(PLAIN, 0, Side(partial(torch.optim.SGD, lr=0.1), message_precision="bfloat16"))
    feed(module, pool()[:, rank * BATCH : (rank + 1) * BATCH])
    fit(module, 3, BATCH, **two(enable_checkpointing=False))
    return module.state_dict()


def alone(rank: int) -> dict[str, Any]:
    """Process 0 measures a game with SyncBatchNorm, which the other process knows nothing of."""
    if rank:
        return {}
    module = game(CONVOLUTIONAL, 0, Side(torch.optim.SGD))
    data = Noise()
    data.setup()
    batch = data.train.batch(np.arange(8), np.random.default_rng(0))
    expected = module.held_out_report(batch)
    nn.SyncBatchNorm.convert_sync_batchnorm(module)
    found = module.held_out_report(batch)
    with pytest.raises(ValueError, match="SyncBatchNorm expected input tensor to be on GPU"):
        module.generator(module.draw_latent(2))
    return {"expected": expected, "found": found}


def buckets(rank: int) -> list[Tensor]:
    """Tensors of several types and sizes, in messages of at most 64 bytes; whole numbers stay as they are."""
    processes.BUCKET = 64
    sizes = [(3,), (40,), (2, 5), (), (7,)]
    tensors = [torch.full(size, float(i + rank)) for i, size in enumerate(sizes)]
    tensors += [torch.full((3,), rank, dtype=torch.float64), torch.tensor([5 + rank])]
    average_across_processes(tensors)
    return tensors


def reduced(rank: int) -> dict[str, Any]:
    """Gradients by a reducer with small buckets and by averages afterwards: two parts, R1, an unused parameter."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    network.register_parameter("unused", nn.Parameter(torch.ones(3)))
    processes.BUCKET = 256
    reducer = Reducer(shared_buckets(list(network.parameters()), first=64))
    sent: list[int] = []
    send = dist.all_reduce

    def counted(tensor: Tensor, **kwargs: Any) -> Any:
        sent.append(len(tensor))
        return send(tensor, **kwargs)

    dist.all_reduce = counted
    batches = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(rank))
    expected = [
        torch.autograd.grad(loss(network, batch), list(network.parameters()), allow_unused=True) for batch in batches
    ]
    for part, batch in enumerate(batches):
        if part == len(batches) - 1:
            reducer.arm()
        loss(network, batch).backward()
    early = len(sent)
    reducer.finish()
    dist.all_reduce = send
    sums = [a + b for a, b in zip(*expected, strict=True) if a is not None]
    average_across_processes(sums)
    found = [each.grad for each in network.parameters() if each.grad is not None]
    reducer.remove()
    sizes = [len(one.parameters) for one in reducer.buckets]
    return {"found": found, "expected": sums, "early": early, "buckets": sizes}


def beside(rank: int) -> dict[str, list[Tensor]]:
    """Buffers that travel beside gradients, by the type of messages: none, two, then all, in three turns."""
    found = {}
    for name, dtype in (("same", None), ("bfloat16", torch.bfloat16)):
        network = nn.Linear(3, 2)
        reducer = Reducer(shared_buckets(list(network.parameters()), dtype=dtype))
        moved = [torch.full(size, rank + 1 + 2**-12) for size in ((2, 3), (), (5,))]
        moved += [torch.full((2,), rank + 1 + 2**-40, dtype=torch.float64), torch.tensor([5 + rank])]
        for count in (0, 2, 5):
            reducer.arm(moved[:count])
            network(torch.ones(1, 3)).sum().backward()
            reducer.finish()
            network.zero_grad()
        found[name] = moved
    return found


def loss(network: nn.Module, batch: Tensor) -> Tensor:
    seen = batch.clone().requires_grad_()
    logits = network(seen)
    (slope,) = torch.autograd.grad(logits.sum(), seen, create_graph=True)
    return nn.functional.softplus(-logits).mean() + slope.square().sum(1).mean()


def augmentation(rank: int) -> float:
    """p after one look: rank 0 alone would raise it, rank 1 alone lower it by as much."""
    ada = AdaptiveAugmentation(target=0.4, speed=100)
    ada.p.fill_(0.5)
    signs = torch.tensor([1.0, 1.0, 1.0, 1.0] if rank == 0 else [1.0, 1.0, -1.0, -1.0])
    ada.advance(10, signs, torch.zeros(4))
    return float(ada.p)


def path_length(rank: int) -> dict[str, float]:
    """This process's mean length, and the average after one call. Pictures of rank 1 move twice as far."""
    styles = torch.ones(3, 1, 4, requires_grad=True)
    images = (1 + rank) * styles.sum((1, 2)).view(3, 1, 1, 1)
    penalty = PathLength(decay=0.5)
    penalty._styles = [styles]
    torch.manual_seed(0)
    own = float(path_lengths(images, styles).mean())
    torch.manual_seed(0)
    penalty(lambda images, condition: images, Batch(images), Fake(images, styles))
    return {"own": own, "average": float(penalty.average)}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["LOCAL_RANK"])
    results = {"play": play(rank, folder), "halves": halves(rank), "buckets": buckets(rank)}
    results["resume"] = {done: resume(rank, folder, done) for done in RESUMED}
    results["checkpointed"] = play(rank, folder / "checkpointed", checkpoint_blocks=True)["state"]
    results["short"] = short_messages(rank)
    results["alone"] = alone(rank)
    results["augmentation"] = augmentation(rank)
    results["path_length"] = path_length(rank)
    results["beside"] = beside(rank)
    results["reduced"] = reduced(rank)
    torch.save(results, folder / f"{rank}.pt")
    dist.destroy_process_group()


# The tests -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> list[dict[str, Any]]:
    """What the two processes found."""
    folder = tmp_path_factory.mktemp("two")
    found = found_by_two(__file__, folder, free_port())
    found[0]["checkpoint"] = torch.load(folder / "step=2.ckpt", weights_only=True)
    return found


def test_both_end_with_the_same_players_and_averages(ranks: list[dict[str, Any]]) -> None:
    """Bit for bit: parameters, batch statistics and counters, although they began with different weights."""
    one, other = (rank["play"]["state"] for rank in ranks)
    assert {name.split(".")[0] for name in one} == {"generator", "discriminator", "average", "remembering"}
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_each_draws_latents_of_its_own(ranks: list[dict[str, Any]]) -> None:
    one, other = (torch.cat(rank["play"]["latents"]) for rank in ranks)
    assert len(one) == len(other) == 2 * LONG * BATCH  # one half to play, one for augmentation to look at
    assert len(torch.cat([one, other]).unique(dim=0)) == 4 * LONG * BATCH


def test_images_of_both_are_counted(ranks: list[dict[str, Any]]) -> None:
    assert [rank["play"]["images_seen"] for rank in ranks] == [LONG * 2 * BATCH] * 2


def test_checkpointed_blocks_learn_the_same(ranks: list[dict[str, Any]]) -> None:
    """Blocks that are computed again in the backward pass, R1's second one included, send the same gradients."""
    for rank in ranks:
        torch.testing.assert_close(rank["checkpointed"], rank["play"]["state"], rtol=1e-6, atol=1e-6)
    one, other = (rank["checkpointed"] for rank in ranks)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.parametrize("done", RESUMED)
def test_resumes_exactly(ranks: list[dict[str, Any]], done: int) -> None:
    """Rank 0's checkpoint holds the random states of both, and both go on where they were."""
    states = ranks[0]["checkpoint"]["ganlab"]["random"]
    assert len(states) == 2
    assert not torch.equal(states[0]["torch"], states[1]["torch"])
    for rank in ranks:
        whole, resumed = rank["play"]["state"], rank["resume"][done]
        assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []


def test_two_halves_are_one_batch(ranks: list[dict[str, Any]]) -> None:
    """Where samples do not look at each other, the game of two processes is that of one with both batches."""
    module = game(PLAIN, 0, Side(partial(torch.optim.SGD, lr=0.1)))
    feed(module, pool())
    fit(module, 3, 2 * BATCH, enable_checkpointing=False, devices=1)
    for rank in ranks:
        torch.testing.assert_close(rank["halves"]["state"], dict(module.state_dict()), rtol=1e-5, atol=1e-6)


def test_messages_in_bfloat16_are_near_those_in_float32(ranks: list[dict[str, Any]]) -> None:
    """Both processes stay equal. bfloat16 has 8 bits: three steps agree to 2^-7, and are not the same."""
    one, other = (rank["short"] for rank in ranks)
    start = {name: value.clone() for name, value in game(PLAIN, 0, Side(torch.optim.SGD)).state_dict().items()}
    for name, exact in ranks[0]["halves"]["state"].items():
        assert torch.equal(one[name], other[name])
        if name.startswith(("generator", "discriminator")):
            moved = (exact - start[name]).norm()
            assert 0 < (one[name] - exact).norm() <= 2**-7 * moved, name


def test_one_process_measures_without_synchronized_statistics(ranks: list[dict[str, Any]]) -> None:
    """The numbers of SyncBatchNorm by the batch of one process are those of batch normalization."""
    found = ranks[0]["alone"]
    assert len(found["expected"]) > 1
    assert found["found"] == found["expected"]


def test_an_iteration_sends_gradients_and_means_only(ranks: list[dict[str, Any]]) -> None:
    """One message for the gradients of each side and one for LeCam's two means, in each of three iterations."""
    module = game(PLAIN, 0, Side(torch.optim.SGD))
    numbers = 2 + sum(each.numel() for name in module.sides for each in module.player(name).parameters())
    for rank in ranks:
        assert rank["halves"]["messages"] == {"all_reduce": 3 * 3}
        assert rank["halves"]["bytes"] == 3 * 4 * numbers


def test_penalties_and_augmentation_move(ranks: list[dict[str, Any]]) -> None:
    """So that the tests above mean something."""
    state = ranks[0]["play"]["state"]
    assert state["remembering.discriminator_lecam.anchors"].abs().min() > 0
    assert 0 < next(value for name, value in state.items() if name.endswith("adaptive.p")) < 1


def test_augmentation_follows_the_signs_of_both(ranks: list[dict[str, Any]]) -> None:
    """r = (1 + 0) / 2 is above the target 0.4: p rises by 10 images / 100 on both."""
    assert [rank["augmentation"] for rank in ranks] == pytest.approx([0.6, 0.6])


def test_the_average_of_path_lengths_is_that_of_both(ranks: list[dict[str, Any]]) -> None:
    """It starts at 0 and moves by `decay` = 1/2 to the mean of L and 2 L."""
    one, other = (rank["path_length"] for rank in ranks)
    assert other["own"] == pytest.approx(2 * one["own"])
    assert one["average"] == other["average"] == pytest.approx(0.75 * one["own"])


def test_averages_in_buckets(ranks: list[dict[str, Any]]) -> None:
    """i on rank 0 and i + 1 on rank 1 is i + 1/2 on both."""
    for number, rank in enumerate(ranks):
        *floating, double, whole = rank["buckets"]
        assert [tuple(tensor.shape) for tensor in floating] == [(3,), (40,), (2, 5), (), (7,)]
        assert [tensor.unique().tolist() for tensor in floating] == [[i + 0.5] for i in range(5)]
        assert double.tolist() == [0.5] * 3
        assert whole.tolist() == [5 + number]


def test_a_reducer_averages_during_the_backward_pass(ranks: list[dict[str, Any]]) -> None:
    """Bit for bit what averaging afterwards gives; all buckets but that of the unused parameter are sent early."""
    for rank in ranks:
        found = rank["reduced"]
        assert len(found["buckets"]) > 3
        assert found["early"] >= len(found["buckets"]) - 2
        assert all(map(torch.equal, found["found"], found["expected"]))
    one, other = (rank["reduced"]["found"] for rank in ranks)
    assert all(map(torch.equal, one, other))


@pytest.mark.parametrize("messages", ["same", "bfloat16"])
def test_buffers_beside_gradients_are_averaged_exactly(ranks: list[dict[str, Any]], messages: str) -> None:
    """x and x + 1 are x + 1/2 on both, in their own precision whatever the messages'; whole numbers stay."""
    for number, rank in enumerate(ranks):
        *floats, double, whole = rank["beside"][messages]
        assert [tuple(one.shape) for one in floats] == [(2, 3), (), (5,)]
        assert [one.unique().tolist() for one in floats] == [[1.5 + 2**-12]] * 3
        assert double.tolist() == [1.5 + 2**-40] * 2
        assert whole.tolist() == [5 + number]


def test_one_process_averages_nothing() -> None:
    tensor = torch.tensor([1.0, 2.0])
    average_across_processes([tensor])
    assert tensor.tolist() == [1.0, 2.0]


def test_buckets_hold_one_type_and_not_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 64 bytes: 10 + 5 floats of 4 bytes leave room for the next one, 16 fill one, then a change of type."""
    monkeypatch.setattr(processes, "BUCKET", 64)
    tensors = [torch.zeros(size) for size in (10, 5, 20, 16, 2)] + [torch.zeros(2, dtype=torch.float64)]
    expected = [[10, 5, 20], [16], [2], [2]]
    assert [[tensor.numel() for tensor in bucket] for bucket in processes.buckets(tensors)] == expected
    assert len(processes.buckets(tensors, first=8)) == 5


if __name__ == "__main__":
    main(Path(sys.argv[1]))
