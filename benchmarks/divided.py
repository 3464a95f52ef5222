"""Time KID, the numbers of nearest neighbours and of copies, computed by one process or by several that share the work.

    python benchmarks/divided.py [processes=1]

Prints the seconds of each process's processor and of the clock, with one thread each, and the numbers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import torch
import torch.distributed as dist
from contest import settings

from ganlab.metrics.copying import copying, twins
from ganlab.metrics.fidelity import members
from ganlab.metrics.kernels import SUBSET_SIZE, SUBSETS, kid
from ganlab.processes import divided

COUNT, DIM = 2_000, 2_048  # features of each kind, and their size: Inception's
PORT = 29_761


def measure(rank: int, world: int) -> None:
    """Time both kinds of numbers in one process of `world`."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(PORT)}
    dist.init_process_group("gloo", rank=rank, world_size=world)
    random = torch.Generator().manual_seed(0)
    real, fake = torch.randn(COUNT, DIM, generator=random), torch.randn(COUNT, DIM, generator=random) + 0.1
    kid(real, fake, 2, SUBSET_SIZE, random, divided)  # the first call also starts torch's kernels
    works: dict[str, Callable[[], object]] = {
        "kid": lambda: kid(real, fake, SUBSETS, SUBSET_SIZE, torch.Generator().manual_seed(0), divided).value,
        "neighbours": lambda: [float(part.mean()) for part in members(real, fake, divide=divided)],
        "copies": lambda: (copying(fake, real, divided).probability, float(twins(real, fake, divided).fake.mean())),
    }
    for name, work in works.items():
        processor, clock = time.process_time(), time.monotonic()
        found = work()
        seconds = f"{time.process_time() - processor:.2f} s of processor, {time.monotonic() - clock:.2f} s"
        print(f"process {rank} of {world}: {name} {seconds}: {found}", flush=True)
    dist.destroy_process_group()


def main() -> None:
    """Start the processes and wait for them."""
    world = settings().get("processes", 1)
    torch.multiprocessing.start_processes(measure, (world,), world)


if __name__ == "__main__":
    main()
