"""Distances between pictures and the truth: closed forms, and that each picture is compared with its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ganlab.data.pictures import Pictures
from ganlab.evaluation.evaluator import Evaluator
from ganlab.metrics.pairs import L1, Psnr, l1_distance, l1_estimate, psnr, psnr_estimate
from ganlab.metrics.perceptual import Perceptual
from ganlab.metrics.samples import Samples
from ganlab.metrics.target import Target


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
    target = Target(50, split="reference", pictures=pictures, kind="image")
    results = Evaluator([L1, Psnr], target).measure(Echo())  # type: ignore[arg-type]
    assert results["l1"].value == pytest.approx(2 / 255, rel=1e-6)
    assert results["psnr"].value == pytest.approx(20 * math.log10(255), rel=1e-6)
    assert results["l1"].protocol == {"split": "reference", "fakes": 50, "seed": 0}


def test_the_perceptual_distance_is_told_with_its_extractor() -> None:
    """Of uint8 pairs: 0 for the truth itself."""
    fake, truth = grey(0, 100), grey(200, 100)
    target = Target(2, pictures=Pictures(truth, truth), kind="image", chosen=np.arange(2))
    found = []
    for images in (fake, truth):
        metric = Perceptual(target)
        metric.update(Samples(images, torch.arange(2)))
        found.append(metric.results()["perceptual_imagenet"])
    assert found[0].protocol["resizer"] == "antialias 128x128"
    assert found[0].value > 0 and found[1].value == 0
