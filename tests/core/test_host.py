"""The program never waits for the device in an iteration without a row of the log, in any recipe.

A value that is read from a tensor (`float(loss)`) makes the program wait until a GPU has computed it. Operations are
counted on the CPU, where the same calls read the same values.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ganlab.config.catalog import Catalog, recipe_folder
from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module, make_trainer
from ganlab.data.batch import Batch, send

RECIPES = sorted(Catalog((recipe_folder(),)).recipes())
SMALL = (
    *("batch_size=8", "network.generator.width=8", "network.discriminator.width=8"),
    *("trainer.accelerator=cpu", "trainer.max_steps=5", "trainer.log_every_n_steps=50", "fused=true"),
    *(f"callbacks.{name}=null" for name in ("collapse", "game", "pictures", "quality")),
    "callbacks.progress.seconds=3600",  # a line of progress reads the losses, and a busy machine has one due by then
)
FILES = {
    "stacked_mnist": ("data.root={mnist}", "data.count=300", "data.held_out_count=300"),
    "few_shot": ("data.root={photos}", "callbacks.copies=null"),
}
WAITS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::masked_select", "aten::_unique2"}
"""Operations whose result, or its size, the program has to know."""
ON_THE_CPU = ("torch/nn/modules/rnn.py", "torch/optim/")
"""Torch's own code that reads numbers which it keeps on the CPU on every device."""


class Waits(TorchDispatchMode):
    """The places of the program that read a value of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if operation._schema.name in WAITS:
            stack = traceback.extract_stack()
            if not any(part in frame.filename for frame in stack for part in ON_THE_CPU):
                ours = [frame for frame in stack[:-1] if "/torch/" not in frame.filename]
                self.places.append(f"{operation._schema.name} at {ours[-1].filename}:{ours[-1].lineno}")
        return operation(*args, **(kwargs or {}))


class Watch(pl.Callback):
    """Watches the second, third and fourth iteration, from the batch's arrival to the end of the other callbacks."""

    def __init__(self) -> None:
        self.waits = Waits()
        self.watched = 0

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Batch, index: int) -> None:
        if 1 <= index <= 3:
            self.waits.__enter__()


class End(pl.Callback):
    """The end of what `watch` watches: this callback comes after all others."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        if 2 <= trainer.global_step <= 4:
            self.watch.waits.__exit__(None, None, None)
            self.watch.watched += 1


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_iteration_waits_for_the_device(recipe: str, tmp_path: Path, mnist: Path, photos: Path) -> None:
    files = (word.format(mnist=mnist, photos=photos) for word in FILES.get(recipe, ()))
    composed = compose(f"recipe={recipe}", *SMALL, *files)
    data = make_data(composed)
    trainer = make_trainer(composed, tmp_path)
    watch = Watch()
    trainer.callbacks.insert(0, watch)  # type: ignore[attr-defined]
    trainer.callbacks.append(End(watch))  # type: ignore[attr-defined]
    trainer.fit(make_module(composed, data.spec), datamodule=data)
    assert watch.watched == 3
    assert watch.waits.places == []


def test_a_value_that_is_read_is_found() -> None:
    with Waits() as waits:
        float(torch.ones(1))
    assert len(waits.places) == 1
    assert waits.places[0].startswith(f"aten::_local_scalar_dense at {__file__}")


def test_sent_values_arrive() -> None:
    values = torch.arange(6).view(2, 3)
    assert torch.equal(send(values, torch.device("cpu")), values)
    assert send(values, torch.device("meta")).shape == (2, 3)


def test_a_batch_is_sent_without_waiting(noise: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        Batch, "to", lambda batch, device, non_blocking=False: asked.append((str(device), non_blocking))
    )
    for device in ("cpu", "cuda"):
        noise().transfer_batch_to_device(Batch(torch.zeros(2, 1, 16, 16)), torch.device(device), 0)
    assert asked == [("cpu", False), ("cuda", True)]
