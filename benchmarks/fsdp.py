"""Try torch's fully_shard (FSDP2) with a gradient penalty, on two processes with gloo.

    python benchmarks/fsdp.py [reshard=default]

reshard: default; forward (reshard_after_forward=False); backward (also set_reshard_after_backward(False), and reshard()
after each turn). A discriminator with R1 plays three turns, in two accumulated parts, clipped, beside the same network
with averaged gradients. Prints the largest difference between their weights, or the error. Last, one process alone runs
the sharded network, as measurements of process 0 do.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from contest import settings
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.functional import softplus
from torch.nn.utils import clip_grad_norm_

PORT, PATIENCE = 29_763, 8  # seconds


def network() -> nn.Sequential:
    """Return the discriminator, always with the same weights."""
    torch.manual_seed(0)
    parts = [nn.Sequential(nn.Linear(size, 16), nn.Tanh()) for size in (6, 16)]
    return nn.Sequential(*parts, nn.Linear(16, 1))


def sharded(reshard: str) -> Any:
    """Return the network with each layer, and the rest, sharded."""
    found, mesh = network(), init_device_mesh("cpu", (2,))
    for part in (*list(found)[:2], found):
        fully_shard(part, mesh=mesh, **({} if reshard == "default" else {"reshard_after_forward": False}))
        if reshard == "backward":
            part.set_reshard_after_backward(False)
    return found


def loss(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Return the discriminator's loss with R1."""
    real = real.clone().requires_grad_()
    logits = critic(real)
    (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return softplus(-logits).mean() + softplus(critic(fake)).mean() + slope.square().sum(1).mean()


def play(rank: int, ours: Any, theirs: nn.Module) -> float:
    """Play three turns and return the largest difference between the weights of the two networks."""
    pair = (ours, theirs)
    optimizers = [torch.optim.Adam(each.parameters(), 1e-2) for each in pair]
    for turn in range(3):
        random = torch.Generator().manual_seed(2 * turn + rank)
        for _ in range(2):
            real, fake = torch.randn(2, 5, 6, generator=random)
            for each in pair:
                (loss(each, real, fake) / 2).backward()  # type: ignore[no-untyped-call]
        for parameter in theirs.parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= 2
        for part in ours.modules():
            if hasattr(part, "reshard"):
                part.reshard()
        for each, optimizer in zip(pair, optimizers, strict=True):
            clip_grad_norm_(each.parameters(), 0.1)
            optimizer.step()
            optimizer.zero_grad()
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    return max(float((one.full_tensor() - other).detach().abs().max()) for one, other in pairs)


def run(rank: int, reshard: str) -> None:
    """Play and measure in one of the two processes."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(PORT)}
    dist.init_process_group("gloo", rank=rank, world_size=2, timeout=timedelta(seconds=PATIENCE))
    ours = sharded(reshard)
    try:
        print(f"process {rank}: weights differ by {play(rank, ours, network()):.1e}", flush=True)
        if rank == 0:
            ours(torch.randn(5, 6))
            print("process 0 alone: done", flush=True)
        else:
            dist.monitored_barrier(timeout=timedelta(seconds=2 * PATIENCE))
    except RuntimeError as error:
        print(f"process {rank}: {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    torch.multiprocessing.start_processes(run, (settings().get("reshard", "default"),), 2)
