"""Measure the processor's time of an iteration beside two hand-written loops of the same game.

    python benchmarks/host_time.py [recipe=vanilla] [data=toy] [network=mlp] [rounds=20] [length=100]
        [batch_size=N] [callbacks=on] [out=FILE.json] [profile=FILE]

All three play in one process and take turns every `length` iterations: ganlab under its Trainer, the plain loop and the
tuned loop (`benchmarks/by_hand.py`). They have the same networks and batch sizes. It prints the processor's
milliseconds for an iteration (median over rounds) and ganlab's speed relative to each loop, with the least and greatest
round. The processor's time counts all threads of this process, so other programs disturb it less than they disturb a
clock. `callbacks=on` keeps the recipe's callbacks and logger.
"""

from __future__ import annotations

import cProfile
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from by_hand import Loop
from contest import settings, tell

from ganlab.config.building import build
from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module, make_trainer
from ganlab.core.generative import GenerativeModule
from ganlab.runs.training import quiet_lightning


class TakeTurns(pl.Callback):
    """Play all loops between two chunks of ganlab's iterations, and note the processor's time of each chunk."""

    def __init__(self, loops: dict[str, Callable[[], None]], length: int) -> None:
        self.loops, self.length = loops, length
        self.seconds: dict[str, list[float]] = {name: [] for name in ("ganlab", *loops)}
        self.started = 0.0

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        """End ganlab's chunk, play the others', and start ganlab's next one."""
        if module.iteration % self.length:
            return
        self.seconds["ganlab"].append(time.process_time() - self.started)
        for name, play in self.loops.items():
            started = time.process_time()
            for _ in range(self.length):
                play()
            self.seconds[name].append(time.process_time() - started)
        self.started = time.process_time()


def main() -> None:
    said = {"recipe": "vanilla", "data": "toy", "network": "mlp", "rounds": 20, "length": 100, "out": ""} | settings()
    words = [f"{key}={said[key]}" for key in ("recipe", "data", "network", "batch_size") if key in said]
    steps = said["length"] * (said["rounds"] + 1)
    torch.set_num_threads(1)
    quiet_lightning()
    recipe = compose(*words, f"trainer.max_steps={steps}", "trainer.accelerator=cpu")
    if said.get("callbacks") != "on":
        recipe = recipe | {"callbacks": {}, "logger": {}}
    data = make_data(recipe)
    module = make_module(recipe, data.spec)
    turns = TakeTurns(
        {name: by_hand(recipe, module, data, name == "tuned") for name in ("plain", "tuned")}, said["length"]
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(recipe, Path(folder))
        trainer.callbacks.append(turns)  # type: ignore[attr-defined]
        profile = cProfile.Profile()
        (profile.runcall if "profile" in said else lambda play, *args, **more: play(*args, **more))(
            trainer.fit, module, datamodule=data
        )
        if "profile" in said:
            profile.dump_stats(said["profile"])
    tell(compared(turns), said["out"], command=" ".join(words), callbacks=said.get("callbacks", "off"))


def by_hand(recipe: dict[str, Any], module: GenerativeModule, data: Any, tuned: bool) -> Callable[[], None]:
    """Return one iteration of a hand-written loop with the module's networks, on batches of the same size."""
    loop = Loop(
        module.generator,
        module.discriminator,  # type: ignore[arg-type]
        build(recipe["generator"]["optimizer"]),
        module.latent_dim,
        recipe["gamma"],
        recipe["penalty_every"],
        tuned,
    )
    images, size = data.train.images, recipe["batch_size"]
    pictures = torch.as_tensor(images).float()
    pictures = pictures if pictures.dim() == 2 else (pictures / 127.5 - 1).contiguous(memory_format=torch.channels_last)

    def play() -> None:
        loop.iteration(pictures[torch.randint(len(pictures), (size,))])

    return play


def compared(turns: TakeTurns) -> dict[str, Any]:
    """Return milliseconds an iteration, and ganlab's speed relative to the others. The first chunk is not counted."""
    taken = {name: [1000 * each / turns.length for each in chunks[1:]] for name, chunks in turns.seconds.items()}
    ratios = {
        f"ganlab / {name}": [other / own for own, other in zip(taken["ganlab"], taken[name], strict=True)]
        for name in turns.loops
    }
    return {
        "milliseconds": {name: round(statistics.median(each), 4) for name, each in taken.items()},
        "speed": {
            name: [round(value, 3) for value in (statistics.median(each), min(each), max(each))]
            for name, each in ratios.items()
        },
    }


if __name__ == "__main__":
    main()
