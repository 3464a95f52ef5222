"""The [1, 3, 3, 1] filter against sums written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganlab.networks.resampling import Blur, Downsample, Upsample

TAPS = np.array([1, 3, 3, 1]) / 8


def zeros_between(row: np.ndarray) -> np.ndarray:
    return np.stack([row, np.zeros_like(row)], 1).ravel()


def rows(function, image: np.ndarray) -> np.ndarray:
    """A function of a row, on every row and then on every column."""
    return np.apply_along_axis(function, 0, np.apply_along_axis(function, 1, image))


REFERENCES = {
    "up": (Upsample(), lambda row: 2 * np.convolve(zeros_between(row), TAPS)[1:-2]),
    "down": (Downsample(), lambda row: np.convolve(row, TAPS)[2::2][: len(row) // 2]),
    "blur": (Blur(padding=2, gain=1.0), lambda row: np.convolve(row, TAPS)[1:-1]),
}


@pytest.mark.parametrize(("layer", "reference"), REFERENCES.values(), ids=REFERENCES.keys())
def test_against_numpy(layer: nn.Module, reference) -> None:
    """Separable: rows, then columns, convolved in float64. Zeros beyond the edge."""
    image = torch.randn(2, 3, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = np.stack([[rows(reference, channel.numpy()) for channel in sample] for sample in image])
    torch.testing.assert_close(layer(image).numpy(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layer", [Upsample(), Downsample()])
def test_a_flat_picture_stays_flat_inside(layer: nn.Module) -> None:
    inside: Tensor = layer(torch.ones(1, 2, 8, 8))[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(inside, torch.ones_like(inside))
