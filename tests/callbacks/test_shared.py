"""Two processes share a measurement. The tests start this very file twice."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor

from ganlab.callbacks.collapse import CollapseMonitor
from ganlab.callbacks.quality import Quality
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.core.strategies import TwoPlayerStrategy
from ganlab.data.base import DataSpec, GanData
from ganlab.data.pictures import Pictures
from ganlab.metrics import kernels
from ganlab.metrics.kernels import kernel_distance
from ganlab.networks import dcgan
from ganlab.networks.architecture import Architecture
from ganlab.networks.heads import ProjectionHead
from ganlab.networks.text import WordEncoder
from ganlab.objectives import NonSaturating
from ganlab.variants import ConditionalGAN, VanillaGAN
from tests.two_processes import found_by_two

COUNT = 301  # samples: an odd number, in two batches
METRICS = ("fid", "kid", "is", "precision", "recall", "density", "coverage", "fid_infinity")
METRICS += ("copying", "duplicates", "cmmd")
BESIDE = ("nearest", "duplicates_of_reals")
SPEC = DataSpec((1, 16, 16))


class Noise(GanData):
    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        pictures = Pictures(np.random.default_rng(0).integers(0, 256, (120, *SPEC.shape), dtype=np.uint8))
        return pictures, pictures, SPEC


class Counting(VanillaGAN):
    """Counts its samples, and fails to draw any if it is told to."""

    drawn = 0
    fails = False

    def sample(self, latent: Tensor, condition: Any = None) -> Tensor:
        if self.fails:
            raise ValueError("no samples here")
        self.drawn += len(latent)
        return super().sample(latent, condition)


class Captioned(GanData):
    """450 pictures with 15 captions, one brightness for each, with noise."""

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        which = np.arange(450) % 15
        noise = np.random.default_rng(0).integers(0, 60, (450, *SPEC.shape))
        images = (noise + 12 * which[:, None, None, None]).astype(np.uint8)
        captions = [f"thing {number}" for number in which]
        words = ("thing", *map(str, range(15)))
        pictures = Pictures(images, captions)
        return pictures, pictures, DataSpec(SPEC.shape, "text", vocabulary=words, captions=tuple(captions[:15]))


def watch(**kwargs: Any) -> dict[str, Any]:
    """Play two iterations, look for collapse after the last one, and draw the samples of the look once more alone."""
    torch.manual_seed(0)
    data = Captioned()
    data.setup()
    data.reals_per_iteration = 4
    adam = Side(partial(torch.optim.Adam, lr=1e-2))
    network = Architecture(partial(dcgan.Generator, width=4), partial(dcgan.Trunk, width=4))
    words = partial(WordEncoder, data.spec.vocabulary, 4)
    average = MovingAverage(50, 1.0)
    module = ConditionalGAN(data.spec, network, words, ProjectionHead, NonSaturating(), adam, adam, average, 3)
    monitor = CollapseMonitor(every=10_000, count=301)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        max_steps=2, accelerator="cpu", callbacks=[monitor], enable_checkpointing=False, **quiet, **kwargs
    )
    trainer.fit(module, data)
    with torch.no_grad():
        alone = monitor.detector.source(trainer, module).draw(module)
    kinds = {"shared": monitor._samples, "alone": alone}
    return {
        kind: {name: [(one.features, one.per_condition) for one in parts] for name, parts in samples.items()}
        for kind, samples in kinds.items()
    } | {"looks": monitor.looks}


def look(fails: bool = False, **kwargs: Any) -> dict[str, Any]:
    """Play two iterations and measure after the last one."""
    torch.manual_seed(0)
    adam = Side(partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.99)))
    network = Architecture(partial(dcgan.Generator, width=4), partial(dcgan.Trunk, width=4))
    module = Counting(SPEC, network, NonSaturating(), adam, adam, MovingAverage(50, 1.0), latent_dim=3)
    module.fails = fails
    subsets: list[int] = []  # of KID, that this process computes

    def counted(real: Tensor, fake: Tensor) -> float:
        subsets.append(len(real))
        return kernel_distance(real, fake)

    kernels.kernel_distance = counted
    quality = Quality(every=10_000, count=COUNT, metrics=METRICS, extractor="small")
    data = Noise()
    data.reals_per_iteration = 4
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        max_steps=2, accelerator="cpu", callbacks=[quality], enable_checkpointing=False, **quiet, **kwargs
    )
    with redirect_stderr(StringIO()) as told:
        trainer.fit(module, data)
    values = {name: one.value for name, one in quality.results.items()}
    module.fails, kernels.kernel_distance = False, kernel_distance
    with torch.no_grad():
        alone = {name: one.value for each in quality._evaluators for name, one in each.measure(module).items()}
    return {
        "values": values,
        "alone": alone,
        "best": quality.state_dict(),
        "drawn": module.drawn,
        "subsets": len(subsets),
        "iterations": module.iteration,
        "told": [line for line in told.getvalue().splitlines() if "cannot measure" in line],
    }


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["LOCAL_RANK"])
    kwargs = {"devices": 2, "default_root_dir": folder}
    found = {"shared": look(strategy=TwoPlayerStrategy(), **kwargs)}
    found["failed"] = look(fails=rank == 1, strategy=TwoPlayerStrategy(), **kwargs)
    found["watched"] = watch(strategy=TwoPlayerStrategy(), **kwargs)
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> list[dict[str, Any]]:
    """What the two processes found."""
    folder = tmp_path_factory.mktemp("shared")
    cache = str(folder / "cache")
    return found_by_two(__file__, folder, free_port(), GANLAB_OFFLINE="1", GANLAB_CACHE=cache)


def test_each_process_draws_half_of_the_samples(ranks: list[dict[str, Any]]) -> None:
    whole = COUNT  # drawn once more by each process alone, to compare
    assert [rank["shared"]["drawn"] - whole for rank in ranks] == [151, 150]


def test_each_process_computes_half_of_the_subsets(ranks: list[dict[str, Any]]) -> None:
    assert [rank["shared"]["subsets"] for rank in ranks] == [kernels.SUBSETS / 2] * 2


def test_two_processes_find_the_numbers_of_one(ranks: list[dict[str, Any]]) -> None:
    """The same weights measured by both together and by one alone."""
    found, alone = ranks[0]["shared"]["values"], ranks[0]["shared"]["alone"]
    assert set(found) == {f"{name}_small" for name in METRICS + BESIDE}
    for name, value in alone.items():
        assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_both_draw_the_samples_of_a_look_for_collapse(ranks: list[dict[str, Any]]) -> None:
    """Features of both generators, and those of the commonest captions, are those of one process. Process 0 decides."""
    assert [rank["watched"]["looks"] for rank in ranks] == [1, 0]
    for rank in ranks:
        shared, alone = rank["watched"]["shared"], rank["watched"]["alone"]
        assert set(shared) == {"averaged", "live"}
        assert len(shared["averaged"][0][1]) == 15 * 20
        torch.testing.assert_close(shared, alone, rtol=1e-6, atol=1e-6)


def test_both_know_the_best(ranks: list[dict[str, Any]]) -> None:
    one, other = (rank["shared"]["best"] for rank in ranks)
    assert one == other
    assert one["best"]["value"] == ranks[0]["shared"]["values"]["fid_small"]


def test_a_process_that_cannot_draw_ends_no_run(ranks: list[dict[str, Any]]) -> None:
    """Process 0 says in one line which one failed, and both play on to the end."""
    assert [rank["failed"]["iterations"] for rank in ranks] == [2, 2]
    assert [len(rank["failed"]["told"]) for rank in ranks] == [1, 0]
    assert "process 1: ValueError: no samples here" in ranks[0]["failed"]["told"][0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
