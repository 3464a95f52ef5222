"""Compiled networks learn what eager ones learn, with few graphs and without recompiling. It needs a C++ compiler."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from torch._dynamo.utils import counters

from ganlab.core.compiling import compile_networks
from ganlab.core.sides import Side
from ganlab.networks import dcgan
from ganlab.networks.architecture import Architecture
from ganlab.networks.blocks import NoNorm
from ganlab.regularizers import R1

Make = Callable[..., Any]

pytestmark = [
    pytest.mark.skipif(
        not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="torch.compile needs a C++ compiler"
    ),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor"),  # torch's own compiler reads it
]


class Graphs(Callback):
    """The number of graphs after each iteration."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.counts.append(counters["stats"]["unique_graphs"])


@pytest.fixture(scope="module", autouse=True)
def _fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def game(vanilla: Make) -> Callable[..., Any]:
    """game(how): DCGAN with R1, batch statistics in the generator; compiled if `how` says so."""

    def make(how: bool | str) -> Any:
        side = Side(partial(torch.optim.SGD, lr=0.1))  # Adam would turn rounding of a gradient near zero into a step
        trunk = partial(dcgan.Trunk, width=4, normalization=NoNorm())
        network = Architecture(partial(dcgan.Generator, width=4), trunk)
        module = vanilla(network=network, generator=side, discriminator=replace(side, regularizers={"r1": R1(1.0)}))
        compile_networks(module, how)
        return module

    return make


def test_compiled_is_eager(game: Make, trainer: Make, noise: Make, tmp_path: Path) -> None:
    """Twenty iterations with R1: the same weights, at most five graphs, none after the second iteration, no break."""
    eager, graphs = game(False), Graphs()
    trainer(20).fit(eager, noise())
    compiled = game(True)  # which seeds the random numbers anew
    counters.clear()
    running = trainer(20, callbacks=[graphs], enable_checkpointing=False)
    running.fit(compiled, noise())
    assert list(compiled.state_dict()) == list(eager.state_dict())
    start = game(False).state_dict()
    assert all(
        (value - start[name]).abs().max() > 1e-3 for name, value in eager.state_dict().items() if "weight" in name
    )
    for name, value in eager.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], value, rtol=1e-4, atol=1e-4, msg=name)
    assert 2 <= graphs.counts[1] <= 5
    assert graphs.counts[-1] == graphs.counts[1]
    assert not counters["graph_break"]


@pytest.mark.parametrize(("first", "then"), [(True, False), (False, True)])
def test_a_checkpoint_of_one_resumes_as_the_other(
    game: Make, trainer: Make, noise: Make, tmp_path: Path, first: bool, then: bool
) -> None:
    saving, file = trainer(2), tmp_path / "two.ckpt"
    saving.fit(game(first), noise())
    saving.save_checkpoint(file)
    whole = game(False)
    trainer(4).fit(whole, noise())
    resumed = game(then)
    trainer(4).fit(resumed, noise(), ckpt_path=file, weights_only=True)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=1e-4, atol=1e-4, msg=name)
