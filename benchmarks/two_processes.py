"""Measure two processes beside DistributedDataParallel: by hand, and as Lightning's strategy for two players.

    python benchmarks/two_processes.py [data=emoji] [network=light] [batch_size=16] [rounds=20] [length=10]
        [message_precision=bfloat16] [out=FILE.json] [profile=FILE]

Two processes on this machine, gloo, one thread each. Three trainers play the game of `recipe=vanilla` in one process
group and take turns every `length` iterations: ganlab under its Trainer, a tuned loop (`benchmarks/by_hand.py`) with
each network in a DistributedDataParallel of its own, and a LightningModule under `ddp_find_unused_parameters_true`.
They have the same networks, optimizers and batch sizes. A barrier stands before and after each turn. It prints the wall
time and the processor's time of an iteration in process 0 (median over rounds), and ganlab's speed relative to the
others in both, with the least and greatest round. The processor's time leaves out waiting for the other process.
"""

from __future__ import annotations

import cProfile
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from by_hand import Loop
from contest import settings, tell
from torch import Tensor
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, IterableDataset

from ganlab.config.building import build
from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module, make_trainer
from ganlab.runs.training import quiet_lightning

PROCESSES = 2


class HandDDP(Loop):
    """The tuned loop with each network in its own DistributedDataParallel."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.generator, self.discriminator = (
            DistributedDataParallel(net, forward_sync_buffers=False, gradient_as_bucket_view=True)
            for net in (self.generator, self.discriminator)
        )


class TwoPlayers(pl.LightningModule):
    """The same game as Lightning's example of a GAN plays it: manual optimization, one side toggled at a time."""

    def __init__(self, loop: Loop, optimizer: Callable[..., torch.optim.Optimizer]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.loop, self.generator, self.discriminator, self.average = (
            loop,
            loop.generator,
            loop.discriminator,
            loop.average,
        )
        self.optimizer = optimizer

    def configure_optimizers(self) -> Any:
        """Return the optimizers of generator and discriminator."""
        return [self.optimizer(net.parameters()) for net in (self.generator, self.discriminator)]

    def training_step(self, real: Tensor, index: int) -> None:
        """Update the discriminator and then the generator on one batch."""
        of_generator, of_discriminator = self.optimizers()  # type: ignore[misc]
        fake = self.generator(torch.randn(len(real), self.loop.latent_dim))
        self.toggle_optimizer(of_discriminator)
        self._step(of_discriminator, self.loop.discriminator_loss(real, fake))
        self.untoggle_optimizer(of_discriminator)
        self.toggle_optimizer(of_generator)
        fake = self.generator(torch.randn(len(real), self.loop.latent_dim))
        self._step(of_generator, F.softplus(-self.discriminator(fake)).mean())
        self.untoggle_optimizer(of_generator)
        self.loop.finish()

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()


class Batches(IterableDataset[Tensor]):
    """Batches of random pictures without an end."""

    def __init__(self, draw: Callable[[], Tensor]) -> None:
        self.draw = draw

    def __iter__(self) -> Any:
        """Draw batch after batch."""
        while True:
            yield self.draw()


class Turnstile(pl.Callback):
    """Let a Trainer in a thread play `length` iterations at each call of `play`."""

    def __init__(self, length: int) -> None:
        self.length, self.go, self.done = length, threading.Semaphore(0), threading.Semaphore(0)

    def play(self) -> None:
        """Play, and return when the iterations are over."""
        self.go.release()
        self.done.acquire()

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Wait for the first turn."""
        self._wait()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """End the turn. Wait for the next one here: Lightning's next iteration begins with an exchange."""
        if (batch_idx + 1) % self.length == 0:
            self._wait()

    def _wait(self) -> None:
        self.done.release()
        self.go.acquire()


class TakeTurns(pl.Callback):
    """Play all others between two chunks of ganlab's iterations, and note the time of each chunk."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.others: dict[str, Callable[[], None]] = {}
        self.wall: dict[str, list[float]] = {}
        self.processor: dict[str, list[float]] = {}
        self.started = 0.0, 0.0

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        """End ganlab's chunk, play the others', and start ganlab's next one."""
        if module.iteration % self.length:
            return
        self._stop("ganlab")
        for name, play in self.others.items():
            self._start()
            play()
            self._stop(name)
        self._start()

    def _start(self) -> None:
        dist.barrier()
        self.started = time.perf_counter(), time.process_time()

    def _stop(self, name: str) -> None:
        processor = time.process_time() - self.started[1]
        dist.barrier()
        self.wall.setdefault(name, []).append((time.perf_counter() - self.started[0]) * 1000 / self.length)
        self.processor.setdefault(name, []).append(processor * 1000 / self.length)


def main() -> None:
    said = {"data": "emoji", "network": "light", "batch_size": 16, "rounds": 20, "length": 10, "out": ""} | settings()
    if "LOCAL_RANK" not in os.environ:
        sys.exit(start())
    torch.set_num_threads(1)
    quiet_lightning()
    turns = TakeTurns(said["length"])
    words = [f"{key}={said[key]}" for key in ("data", "network", "batch_size") if key in said]
    if "message_precision" in said:
        words += [f"{side}.message_precision={said['message_precision']}" for side in ("generator", "discriminator")]
    recipe = compose(
        "recipe=vanilla",
        *words,
        f"trainer.max_steps={said['length'] * (said['rounds'] + 2)}",
        "trainer.accelerator=cpu",
        f"trainer.devices={PROCESSES}",
    )
    recipe = recipe | {"callbacks": {}, "logger": {}}
    data = make_data(recipe)
    module = make_module(recipe, data.spec)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(recipe, Path(folder))
        trainer.callbacks.append(turns)  # type: ignore[attr-defined]
        trainer.strategy.setup_environment()
        turns.others = {"ddp by hand": by_hand(recipe, module, data, turns.length)}
        turns.others["ddp_find_unused"] = by_lightning(recipe, module, data, turns.length, Path(folder))
        profile = cProfile.Profile()
        (profile.runcall if "profile" in said else lambda play, *args, **more: play(*args, **more))(
            trainer.fit, module, datamodule=data
        )
    if os.environ["LOCAL_RANK"] == "0":
        tell(compared(turns), said["out"], command=" ".join(sys.argv[1:]))
        if "profile" in said:
            profile.dump_stats(said["profile"])
    sys.stdout.flush()
    dist.barrier()
    os._exit(0)  # Lightning's thread waits for a turn that does not come


def start() -> int:
    """Start this script once for each process. Return the exit code."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    running = [
        subprocess.Popen([sys.executable, *sys.argv], env={**shared, "LOCAL_RANK": str(rank)}) for rank in (0, 1)
    ]
    return max(abs(process.wait()) for process in running)


def drawn(recipe: dict[str, Any], data: Any) -> Callable[[], Tensor]:
    """Return a function that draws a batch of real pictures in [-1, 1], or of points."""
    images, size = torch.as_tensor(data.train.images), recipe["batch_size"]
    floats = images.float() if images.dim() == 2 else (images.float() / 127.5 - 1)
    pictures = floats if images.dim() == 2 else floats.contiguous(memory_format=torch.channels_last)
    return lambda: pictures[torch.randint(len(pictures), (size,))]


def loop_of(kind: type[Loop], recipe: dict[str, Any], module: Any) -> Loop:
    """Return a loop with copies of the module's networks."""
    make = build(recipe["generator"]["optimizer"])
    networks = module.generator, module.discriminator
    return kind(*networks, make, module.latent_dim, recipe["gamma"], recipe["penalty_every"], True)


def by_hand(recipe: dict[str, Any], module: Any, data: Any, length: int) -> Callable[[], None]:
    """Return `length` iterations of the loop with two DistributedDataParallel."""
    loop, draw = loop_of(HandDDP, recipe, module), drawn(recipe, data)

    def play() -> None:
        for _ in range(length):
            loop.iteration(draw())

    return play


def by_lightning(recipe: dict[str, Any], module: Any, data: Any, length: int, folder: Path) -> Callable[[], None]:
    """Return `length` iterations of Lightning's strategy, which run in a thread."""
    turnstile = Turnstile(length)
    game = TwoPlayers(loop_of(Loop, recipe, module), build(recipe["generator"]["optimizer"]))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=PROCESSES,
        strategy="ddp_find_unused_parameters_true",
        max_epochs=-1,
        callbacks=[turnstile],
        enable_checkpointing=False,
        default_root_dir=folder,
        **quiet,  # type: ignore[arg-type]
    )
    loader = DataLoader(Batches(drawn(recipe, data)), batch_size=None)
    threading.Thread(target=trainer.fit, args=(game, loader), daemon=True).start()
    turnstile.done.acquire()  # its setup is over: exchanges of two Trainers must not mix
    return turnstile.play


def compared(turns: TakeTurns) -> dict[str, Any]:
    """Return milliseconds an iteration, and ganlab's speed relative to the others. The first chunk is not counted."""
    found: dict[str, Any] = {}
    for clock, taken in (("wall", turns.wall), ("processor", turns.processor)):
        taken = {name: each[1:] for name, each in taken.items()}
        middle = {name: statistics.median(each) for name, each in taken.items()}
        found[f"{clock} milliseconds"] = {name: round(value, 3) for name, value in middle.items()}
        for name in turns.others:
            ratios = [other / own for own, other in zip(taken["ganlab"], taken[name], strict=False)]
            numbers = (middle[name] / middle["ganlab"], statistics.median(ratios), min(ratios), max(ratios))
            found[f"{clock} speed, ganlab / {name}"] = dict(
                zip(
                    ("ratio of medians", "median", "least", "greatest"),
                    (round(each, 3) for each in numbers),
                    strict=True,
                )
            )
    return found


if __name__ == "__main__":
    main()
