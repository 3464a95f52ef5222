"""Pixelwise distances between generated and true pictures, if the condition is a picture.

A low distance does not mean a good picture. The mean of all possible pictures is nearest, and blurred.
"""

from __future__ import annotations

import math

from torch import Tensor

from ganlab.metrics.metric import HIGHER, LOWER, Result, SampleMetric, Samples
from ganlab.metrics.needs import TRUE_PICTURES
from ganlab.metrics.spread import Estimate, mean_estimate


def l1_distance(generated: Tensor, truth: Tensor) -> float:
    """Return the mean absolute difference of uint8 pictures, in the networks' range [-1, 1]: 0 to 2."""
    return l1_estimate(generated, truth).value


def psnr(generated: Tensor, truth: Tensor) -> float:
    """Return the peak signal-to-noise ratio of uint8 pictures, 10 log10(255^2 / mean squared difference), in dB."""
    return psnr_estimate(generated, truth).value


def l1_estimate(generated: Tensor, truth: Tensor) -> Estimate:
    """Return `l1_distance` with its standard error over pictures."""
    return mean_estimate(absolute_differences(generated, truth))


def psnr_estimate(generated: Tensor, truth: Tensor) -> Estimate:
    """Return `psnr` with its standard error over pictures."""
    return psnr_of(squared_differences(generated, truth))


def absolute_differences(generated: Tensor, truth: Tensor) -> Tensor:
    """Return each picture's mean absolute difference (N,) float64, in the range [-1, 1] of the networks."""
    return (generated.double() - truth.double()).abs().flatten(1).mean(1) * 2 / 255


def squared_differences(generated: Tensor, truth: Tensor) -> Tensor:
    """Return each picture's mean squared difference (N,) float64, in levels squared."""
    return (generated.double() - truth.double()).square().flatten(1).mean(1)


def psnr_of(squared: Tensor) -> Estimate:
    """Return the ratio for `squared_differences` (N,). Its error is 10 / ln 10 times the relative one of their mean."""
    found = mean_estimate(squared)
    if not found.value or found.spread is None:
        return Estimate(math.inf, None)
    return Estimate(10 * math.log10(255**2 / found.value), 10 / math.log(10) * found.spread / found.value)


class L1(SampleMetric):
    """Mean absolute difference between each sample and the picture that it should be; 0 to 2."""

    name = "l1"
    better = LOWER
    needs = (TRUE_PICTURES,)
    standard = True

    def look(self, samples: Samples) -> Tensor:
        """Keep the mean absolute difference of each picture (N,)."""
        return absolute_differences(samples.images, self.target.truth(samples.places))

    def compute(self) -> Result:
        """Return the mean with its standard error."""
        return Result.mean(self.rows.values, fakes=len(self.rows.places))


class Psnr(SampleMetric):
    """Peak signal-to-noise ratio of the samples against the pictures that they should be, in dB."""

    name = "psnr"
    better = HIGHER
    needs = (TRUE_PICTURES,)
    standard = True

    def look(self, samples: Samples) -> Tensor:
        """Keep the mean squared difference of each picture (N,)."""
        return squared_differences(samples.images, self.target.truth(samples.places))

    def compute(self) -> Result:
        """Return the ratio with its standard error."""
        return Result.of(psnr_of(self.rows.values), fakes=len(self.rows.places))
