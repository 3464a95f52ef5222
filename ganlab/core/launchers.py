"""Runs whose processes something else starts: torchrun or SLURM. The first process tells the others one value."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from os import environ
from typing import Any

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.distributed.rendezvous import rendezvous

from ganlab.processes import limit

NOTICE = "ganlab/notice"


def launcher() -> ClusterEnvironment | None:
    """Return what started the processes of this run: torchrun or SLURM. None if they are ganlab's own, or one only."""
    for kind in (TorchElasticEnvironment, SLURMEnvironment):
        if kind.detect() and kind().world_size() > 1:
            return kind()
    return None


def publish(value: str) -> None:
    """Tell the other processes this value. Only the first process of a run with a `launcher` may do so, and once."""
    _store().set(NOTICE, value)


def hear() -> str:
    """Wait for the value that the first process publishes."""
    return str(_store().get(NOTICE).decode())


@cache
def _store() -> Any:
    """Return the key-value store of the launcher's job, at the address where its processes will meet later."""
    job = launcher()
    assert job is not None
    environ["MASTER_ADDR"], environ["MASTER_PORT"] = job.main_address, str(job.main_port)
    met = rendezvous("env://", job.global_rank(), job.world_size(), timeout=timedelta(seconds=limit()))
    store, _, _ = next(met)
    return store
