"""The eye that reads digits: how often it is right, whatever the size; and that it never learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ganlab.data.torchvision import TorchvisionData
from ganlab.metrics.digits import DigitReader
from tools.train_digits import rate, warped

SHARED = Path(__file__).parents[3] / "shared" / "data"
with_mnist = pytest.mark.skipif(not (SHARED / "MNIST" / "raw").is_dir(), reason="MNIST is not in ../shared/data")


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """The 10,000 test digits, which its training never showed."""
    data = TorchvisionData("MNIST", SHARED)
    data.setup()
    condition = data.reference.condition
    assert isinstance(condition, torch.Tensor)
    return data.reference.get(slice(0, 10_000)), condition


@with_mnist
def test_reads_test_digits(digits: tuple[torch.Tensor, torch.Tensor]) -> None:
    """99.54 % were right when it was made; 0.0007 is the deviation of a share of 10,000."""
    images, shown = digits
    assert (DigitReader()(images)[:, 0] == shown).double().mean() == pytest.approx(0.9954, abs=0.0015)


@with_mnist
def test_reads_every_channel_by_itself(digits: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, _ = digits
    reader = DigitReader()
    stacked = images[:300, 0].unflatten(0, (100, 3))
    assert torch.equal(reader(stacked).flatten(), reader(images[:300])[:, 0])


@with_mnist
def test_reads_other_sizes(digits: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, shown = digits
    large = images[:500].repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert (DigitReader()(large)[:, 0] == shown[:500]).double().mean() > 0.98


def test_never_trains() -> None:
    reader = DigitReader().train()
    assert not any(part.training for part in reader.modules())
    assert not any(parameter.requires_grad for parameter in reader.parameters())


def test_warping_keeps_black_black() -> None:
    assert torch.allclose(warped(-torch.ones(3, 1, 32, 32)), -torch.ones(3, 1, 32, 32), atol=1e-6)


def test_the_rate_rises_and_falls() -> None:
    assert [round(rate(step, 100, 1.0), 3) for step in (0, 10, 20, 60, 100)] == [0.0, 0.5, 1.0, 0.5, 0.0]
