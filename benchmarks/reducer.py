"""Time what averaging the gradients of a generator over processes adds to its pass, for the reducer and for DDP.

    python benchmarks/reducer.py [data=emoji] [network=light] [batch_size=16] [rounds=60] [processes=2]

Gloo, one thread in each process. Three copies of the generator take turns, one pass forward and backward each: without
averaging, with ganlab's reducer, and in a DistributedDataParallel whose gradients are views of its buckets. Process 0
prints the milliseconds of its processor and of the clock: the median and the least of the rounds, and for the processor
the median of what averaging adds. The least is little disturbed by other programs.
"""

from __future__ import annotations

import copy
import os
import socket
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from contest import settings
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module
from ganlab.core.members import Members
from ganlab.core.reducer import Reducer, shared_buckets


def with_reducer(network: nn.Module) -> Callable[[nn.Module, torch.Tensor], None]:
    """Return a pass whose gradients, and batch statistics, the reducer averages."""
    members = Members(network)
    reducer = Reducer(shared_buckets(members.parameters))

    def play(network: nn.Module, latent: torch.Tensor) -> None:
        loss = network(latent).square().mean()
        reducer.arm(members.moving())
        loss.backward()
        reducer.finish()

    return play


def plain(network: nn.Module, latent: torch.Tensor) -> None:
    """Play one pass. DistributedDataParallel averages inside it."""
    network(latent).square().mean().backward()


def measure(rank: int, world: int, port: int, said: dict[str, Any]) -> None:
    """Let the contestants take turns in one process of `world`."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=world)
    words = [f"{key}={said[key]}" for key in ("data", "network", "batch_size")]
    recipe = compose("recipe=vanilla", *words)
    module = make_module(recipe, make_data(recipe).spec)
    nets = {name: copy.deepcopy(module.generator) for name in ("alone", "reducer", "ddp")}
    plays = {"alone": plain, "reducer": with_reducer(nets["reducer"]), "ddp": plain}
    nets["ddp"] = DistributedDataParallel(nets["ddp"], forward_sync_buffers=False, gradient_as_bucket_view=True)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in nets}
    names = list(nets)
    for turn in range(said["rounds"]):
        latent = torch.randn(said["batch_size"], module.latent_dim)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            dist.barrier()
            before = time.process_time(), time.perf_counter()
            plays[name](nets[name], latent)
            found[name].append((time.process_time() - before[0], time.perf_counter() - before[1]))
            nets[name].zero_grad(set_to_none=True)
    if rank == 0:
        show({name: each[5:] for name, each in found.items()})
    dist.destroy_process_group()


def show(found: dict[str, list[tuple[float, float]]]) -> None:
    """Print the milliseconds of each contestant."""
    for name, times in found.items():
        processor, clock = ([1000 * value for value in each] for each in zip(*times, strict=True))
        added = [1000 * (own[0] - bare[0]) for own, bare in zip(times, found["alone"], strict=True)]
        print(
            f"{name}: processor {statistics.median(processor):.2f} (least {min(processor):.2f}), "
            f"clock {statistics.median(clock):.2f} (least {min(clock):.2f}), added {statistics.median(added):.2f}"
        )


def main() -> None:
    """Start the processes and wait for them."""
    said = {"data": "emoji", "network": "light", "batch_size": 16, "rounds": 60, "processes": 2} | settings()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(measure, (said["processes"], port, said), said["processes"])


if __name__ == "__main__":
    main()
