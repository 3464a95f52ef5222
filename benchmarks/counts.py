"""Count what an iteration asks of a GPU, beside a tuned loop: a stand-in for its speed where no GPU can be had.

    python benchmarks/counts.py [networks=mlp,light,stylegan2,r3gan] [iterations=8] [out=FILE.json]

ganlab under its Trainer, without callbacks, and the tuned loop (`benchmarks/by_hand.py`) play the game of
`recipe=vanilla` with each network, on emoji of 32 x 32 (mlp: on points). torch's profiler sees every operation on the
CPU; the same calls start kernels on a GPU. Making the batch is not counted for ganlab: that stays on the CPU. For each
it prints, as means over iterations without a row of the log,

- launches: operations that compute or copy. What is inside another one counts as the outer one, and so does an
  operation on lists of tensors (foreach, fused), which is one launch, or a few, on a GPU;
- waits: results that the program reads (`.item()`), and so waits for; those of Adam's counters on the CPU are left out;
- calls: all operations, views included, which is what Python and torch's dispatcher have to get through.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from contest import settings, tell
from host_time import by_hand
from torch.profiler import ProfilerActivity, profile

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module, make_trainer
from ganlab.runs.training import quiet_lightning

FIRST = 8  # iterations that are not counted: they make what the others use again
WAITS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::masked_select", "aten::_unique2"}
LISTS = ("aten::_foreach_", "aten::_fused_")
NO_KERNEL = {
    f"aten::{name}"
    for line in (
        "alias as_strided as_strided_ chunk contiguous detach diagonal empty empty_like empty_strided expand expand_as",
        "flatten is_nonzero is_same_size item lift_fresh narrow new_empty new_empty_strided numpy_T permute real",
        "_reshape_alias reshape resize_ resolve_conj resolve_neg result_type select set_ slice split split_with_sizes",
        "squeeze t _to_copy to transpose unbind unflatten _unsafe_view unsqueeze view view_as",
    )
    for name in line.split()
} | WAITS


class Watch(pl.Callback):
    """Profile ganlab's iterations after the first ones, each from the arrival of its batch on."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.seen: list[profile] = []

    def on_train_batch_start(self, trainer: Any, module: Any, *_: Any) -> None:
        """Start a profile if the iteration counts."""
        if module.iteration >= self.after:
            self.seen.append(profile(activities=[ProfilerActivity.CPU]))
            self.seen[-1].__enter__()

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        """Stop the profile."""
        if module.iteration > self.after:
            self.seen[-1].__exit__(None, None, None)


def main() -> None:
    said = {"networks": "mlp,light,stylegan2,r3gan", "iterations": 8, "out": ""} | settings()
    torch.set_num_threads(1)
    quiet_lightning()
    found = {name: counted(name, said["iterations"]) for name in said["networks"].split(",")}
    tell({"an iteration of": found}, said["out"], iterations=said["iterations"])


def counted(network: str, iterations: int) -> dict[str, dict[str, float]]:
    """Return the counts of both contestants with a network."""
    data_words = ["data=toy"] if network == "mlp" else ["data=emoji", "batch_size=4"]
    recipe = compose(
        *("recipe=vanilla", *data_words, f"network={network}", "fused=true", "trainer.accelerator=cpu"),
        *(f"trainer.max_steps={FIRST + iterations}", f"trainer.log_every_n_steps={2 * (FIRST + iterations)}"),
    ) | {"callbacks": {}, "logger": {}}
    data = make_data(recipe)
    module = make_module(recipe, data.spec)
    play, watch = by_hand(recipe, module, data, tuned=True), Watch(FIRST)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(recipe, Path(folder))
        trainer.callbacks.append(watch)  # type: ignore[attr-defined]
        trainer.fit(module, datamodule=data)
    return {"ganlab": counts(watch.seen), "tuned": counts(watched(play, iterations))}


def watched(play: Callable[[], None], iterations: int) -> list[profile]:
    """Return profiles of a loop's iterations after the first ones."""
    for _ in range(FIRST):
        play()
    profiles = []
    for _ in range(iterations):
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            play()
        profiles.append(seen)
    return profiles


def counts(profiles: Sequence[profile]) -> dict[str, float]:
    """Return launches, waits and calls of one iteration."""
    events = [event for seen in profiles for event in seen.events() or ()]
    found = {
        "launches": sum(launches(event) for event in events if event.cpu_parent is None),
        "waits": sum(event.name in WAITS and not _of_optimizer(event) for event in events),
        "calls": sum(event.name.startswith("aten::") for event in events),
    }
    return {name: round(count / len(profiles), 1) for name, count in found.items()}


def launches(event: Any) -> int:
    """Return the operations that compute or copy, in an event and inside it."""
    if event.name.startswith(LISTS):
        return 1
    inner = sum(map(launches, event.cpu_children))
    return inner or int(event.name.startswith("aten::") and event.name not in NO_KERNEL)


def _of_optimizer(event: Any) -> bool:
    while event is not None and not event.name.startswith("Optimizer.step"):
        event = event.cpu_parent
    return event is not None


if __name__ == "__main__":
    main()
