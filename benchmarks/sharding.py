"""Measure what each of several processes keeps with `trainer.strategy=ddp`, `zero1` and `fsdp`.

    python benchmarks/sharding.py [processes=2] [iterations=4] [said=WORDS]

Processes on this machine, gloo, one thread each, play the game of `recipe=vanilla` with large networks and small
batches. It prints, for the fullest process, in MB: what stays between two iterations (weights of both sides and of the
average, optimizer states, tensors of messages), and how much the process grows from its first networks to its peak, as
the system counts it. The last column is the time of an iteration by the clock: the median, without the first. said:
further settings, with spaces between them.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from contest import settings
from torch import Tensor

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module, make_trainer
from ganlab.runs.memory import forget_peaks, peaks
from ganlab.runs.training import quiet_lightning

PORT = 29_764
WIDE = "network=stylegan2 network.generator.width=256 network.discriminator.width=256"
WORDS = f"recipe=vanilla data=emoji data.size=16 {WIDE} batch_size=2 penalty_every=1 trainer.accelerator=cpu"


class Watch(pl.Callback):
    """Notes the time of each iteration, and the bytes that stay after it."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.kept = 0

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        """Note both."""
        self.times.append(time.perf_counter())
        states = (state.values() for one in trainer.strategy.optimizers for state in one.state.values())
        messages = (vars(bucket) for reducer in module._reducers.values() for bucket in reducer.buckets)
        flat = (one["_flat"] for one in messages if "_flat" in one)
        tensors = chain(module.parameters(), flat, (one for one in chain(*states) if isinstance(one, Tensor)))
        self.kept = sum(each.untyped_storage().nbytes() for each in tensors)


def resident() -> int:
    """Return the bytes of this process's memory that are in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def play(rank: int, strategy: str, said: dict[str, Any], folder: str) -> None:
    """Play in one of the processes, and write what it needed."""
    torch.set_num_threads(1)
    quiet_lightning()
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(PORT), "NODE_RANK": "0", "LOCAL_RANK": str(rank)}
    os.environ |= place
    how = [f"trainer.devices={said['processes']}", f"trainer.strategy={strategy}"]
    words = [*WORDS.split(), *how, f"trainer.max_steps={said['iterations']}", *str(said["said"]).split()]
    recipe = dict(compose(*words)) | {"callbacks": {}, "logger": {}}
    torch.manual_seed(0)
    data = make_data(recipe)
    data.setup()
    before = resident()
    module = make_module(recipe, data.spec)
    weights = sum(each.nbytes for each in module.parameters())
    trainer, watch = make_trainer(recipe, Path(folder)), Watch()
    trainer.callbacks.append(watch)
    forget_peaks()
    trainer.fit(module, datamodule=data)
    most = peaks()["process"] - before
    spent = [after - before for before, after in pairwise(watch.times)]
    found = {
        "weights": weights / 1e6,
        "kept": watch.kept / 1e6,
        "most": most / 1e6,
        "seconds": statistics.median(spent),
    }
    torch.save(found, Path(folder) / f"{rank}.pt")
    os._exit(0)


def main() -> None:
    """Print a row for each strategy."""
    said: dict[str, Any] = {"processes": 2, "iterations": 4, "said": ""} | settings()
    print("| strategy | kept, MB | at most, MB | s an iteration |\n|---|---|---|---|")
    for strategy in ("ddp", "zero1", "fsdp"):
        with tempfile.TemporaryDirectory() as folder:
            torch.multiprocessing.start_processes(play, (strategy, said, folder), int(said["processes"]))
            found = [torch.load(file, weights_only=True) for file in sorted(Path(folder).glob("*.pt"))]
        worst = {key: max(one[key] for one in found) for key in found[0]}
        print(f"| `{strategy}` | {worst['kept']:.0f} | {worst['most']:.0f} | {worst['seconds']:.2f} |", flush=True)
    print(f"\nweights of both sides and of the average: {worst['weights']:.0f} MB")


if __name__ == "__main__":
    main()
