"""Distances between pictures and the truth: closed forms, and the ruler that compares each with its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ganlab.data.pictures import Pictures
from ganlab.evaluation.pairs import MEASURES, PairRuler
from ganlab.metrics.pairs import l1_distance, l1_estimate, psnr, psnr_estimate


def grey(*levels: int) -> Tensor:
    return torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)


def test_distances_of_flat_pictures() -> None:
    """Differences of 51 and 0 levels: L1 (51 + 0) / 2 * 2 / 255 = 0.2; squared error 51^2 / 2, PSNR
    10 log10(2 * 255^2 / 51^2) = 10 log10(50) = 16.99 dB. No wrapping around of bytes either way."""
    assert l1_distance(grey(0, 100), grey(51, 100)) == pytest.approx(0.2)
    assert l1_distance(grey(51, 100), grey(0, 100)) == pytest.approx(0.2)
    assert psnr(grey(0, 100), grey(51, 100)) == pytest.approx(10 * math.log10(50))
    assert psnr(grey(7), grey(7)) == math.inf


def test_their_errors() -> None:
    """Squared differences 0 and 51^2: mean 51^2 / 2, its error 51^2 / 2 as well (deviation 51^2 / sqrt 2, over sqrt 2),
    so 10 / ln 10 = 4.34 dB; L1 0.4 and 0: 0.2."""
    pair = grey(0, 100), grey(51, 100)
    assert l1_estimate(*pair).spread == pytest.approx(0.2)
    assert psnr_estimate(*pair).spread == pytest.approx(10 / math.log(10))
    assert psnr_estimate(grey(7), grey(7)).spread is None


class Echo:
    """A model that gives its input back, one level of 255 brighter."""

    device = torch.device("cpu")

    def draw_latent(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.zeros(count, 0)

    def sample(self, latent: Tensor, condition: Tensor) -> Tensor:
        return condition + 2 / 255


def test_each_picture_is_compared_with_its_own_truth() -> None:
    """The truth is the input, 10 levels apart from the next: any other pairing would give more than one level."""
    images = np.arange(0, 200, 10, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 3, 8, 8), np.uint8)
    pictures = Pictures(images, torch.from_numpy(images.copy()))
    results = PairRuler(["l1", "psnr"], pictures, "reference", 50, 0).measure(Echo())  # type: ignore[arg-type]
    assert results["l1"].value == pytest.approx(2 / 255, rel=1e-6)
    assert results["psnr"].value == pytest.approx(20 * math.log10(255), rel=1e-6)
    assert results["l1"].protocol == {"split": "reference", "fakes": 50, "seed": 0}


def test_the_perceptual_distance_is_told_with_its_extractor() -> None:
    """Of uint8 pairs, as `PairRuler` measures it: 0 for the truth itself."""
    fake, truth = grey(0, 100), grey(200, 100)
    (name, found), *_ = MEASURES["perceptual"](fake, truth).items()
    assert name == "perceptual_imagenet" and found.protocol["resizer"] == "antialias 128x128"
    assert found.value > 0 and MEASURES["perceptual"](truth, truth)[name].value == 0
