"""Modes of stacks: what a generator of real stacks scores, and what one that knows a single stack scores."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganlab.data.stacked_mnist import StackedMnistData
from ganlab.evaluation.evaluate import metrics_for
from ganlab.evaluation.evaluator import feed, target_of
from ganlab.evaluation.sources import Source
from ganlab.metrics.modes import StackModes

SHARED = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not (SHARED / "MNIST" / "raw").is_dir(), reason="MNIST is not in ../shared/data")
COUNT = 2_000


@pytest.fixture(scope="module")
def data() -> StackedMnistData:
    made = StackedMnistData(SHARED, count=COUNT, held_out_count=COUNT)
    made.setup()
    return made


class Imitator(Source):
    """Draws given pictures, over and over."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def batches(self) -> Iterator[tuple[Tensor, Sequence[Hashable]]]:
        for part in self.images[torch.arange(COUNT) % len(self.images)].split(250):
            yield part, []


def measured(data: StackedMnistData, images: Tensor) -> dict[str, float]:
    metric = StackModes(target_of(data, "reference", COUNT, 0))
    feed([metric], Imitator(images))
    return {name: result.value for name, result in metric.results().items()}


def test_real_stacks_score_what_reals_score(data: StackedMnistData) -> None:
    """2,000 uniform samples hit 1000 (1 - 0.999^2000) = 864.8 modes; digits are not quite uniform."""
    found = measured(data, data.reference.get(slice(0, COUNT)))
    for name in ("modes_captured", "modes_captured_twice", "mode_kl"):
        assert found[name] == found[f"{name}_of_reals"]
    assert found["modes_captured"] == pytest.approx(865, abs=30)


def test_one_stack_is_one_mode(data: StackedMnistData) -> None:
    found = measured(data, data.train.get(slice(0, 1)))
    assert found["modes_captured"] == found["modes_captured_twice"] == 1
    assert found["mode_kl"] == pytest.approx(math.log(1000))


def test_a_floor_stands_beside_the_number(data: StackedMnistData) -> None:
    """E KL of 2,000 uniform samples over 1,000 modes, by simulation."""
    protocol = StackModes(target_of(data, "reference", COUNT, 0))._of(torch.arange(10))["mode_kl"].protocol
    assert protocol["samples"] == 10 and protocol["floor"] == pytest.approx(math.log(100), abs=0.01)
    assert protocol["classifier"] == "digits"


def test_modes_are_measured_on_stacks(data: StackedMnistData) -> None:
    assert StackModes in metrics_for(target_of(data, "reference", COUNT, 0))
