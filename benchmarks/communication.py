"""Estimate the time that communication costs an iteration, for up to 512 GPUs. Arithmetic, not a measurement.

    python benchmarks/communication.py [bytes=4]

An iteration sends each gradient once (`tests/core/test_strategies.py` counts the bytes): `bytes` for each parameter of
both networks, 4 in float32 and 2 with message_precision=bfloat16. The mean over m nodes of 8 GPUs is taken in two
steps, as NCCL does: within a node each GPU sends and receives 2 7/8 S over NVLink, between nodes each node
2 (m - 1)/m S over its network. Latency is 2 log2(GPUs) hops for each bucket. A bucket that is ready while the backward
pass runs costs nothing. So the loss is what the backward passes (BACKWARD of the iteration) do not cover, and at least
the last bucket of each side.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from contest import settings

BUCKET = 25 * 2**20  # bytes of a message, `ganlab.processes.BUCKET`
NVLINK = 300e9  # bytes a second of one GPU in one direction that an all-reduce reaches; assumed (nominal: 450e9)
BACKWARD = 0.5  # the share of an iteration in backward passes that send gradients; assumed
SIZES = {"25 M": (25e6, 0.060), "60 M": (60e6, 0.150), "1 B": (1e9, 1.2)}
"""Parameters of both networks, and the seconds of an iteration without communication; assumed."""


class Network(NamedTuple):
    """The network between nodes: bytes a second of a node in one direction, and seconds of a hop. Assumed."""

    speed: float
    hop: float


NETWORKS = {
    "InfiniBand, 8 x 400 Gb/s": Network(0.8 * 400e9, 10e-6),
    "Ethernet, 100 Gb/s": Network(0.8 * 12.5e9, 30e-6),
}
INSIDE = 5e-6  # seconds of a hop within a node; assumed


def seconds(size: float, gpus: int, network: Network) -> float:
    """Return the time of the mean of `size` bytes over all GPUs."""
    nodes = gpus // 8
    moving = 2 * 7 / 8 * size / NVLINK + 2 * (nodes - 1) / nodes * size / network.speed
    hops = 2 * 3 * INSIDE + 2 * math.log2(nodes) * network.hop
    return moving + math.ceil(size / BUCKET) * hops


def lost(size: float, gpus: int, network: Network, iteration: float) -> float:
    """Return the share of the whole time that is spent waiting for messages."""
    exposed = max(0.0, seconds(size, gpus, network) - BACKWARD * iteration)
    exposed = max(exposed, 2 * seconds(min(size / 2, BUCKET), gpus, network))
    return exposed / (iteration + exposed)


def main() -> None:
    width = settings().get("bytes", 4)
    print("| parameters | sent | 8 GPUs, NVLink | network | 64 GPUs | 512 GPUs |")
    print("|---|---|---|---|---|---|")
    for name, (parameters, iteration) in SIZES.items():
        size = width * parameters
        for place, (label, network) in enumerate(NETWORKS.items()):
            cells = [
                f"{1000 * seconds(size, gpus, network):,.1f} ms, {lost(size, gpus, network, iteration):.0%}"
                for gpus in (8, 64, 512)
            ]
            first = (name, f"{size / 1e6:,.0f} MB", cells[0]) if place == 0 else ("", "", "")
            print(f"| {' | '.join(first)} | {label} | {cells[1]} | {cells[2]} |")


if __name__ == "__main__":
    main()
