"""How near generated pictures are to those that they should be, pixel by pixel: for models told by a picture.

Low distances are not good pictures: the average of all that could be right is the nearest, and blurred.
"""

from __future__ import annotations

import math

from torch import Tensor

from ganlab.metrics.frechet import Estimate
from ganlab.metrics.spread import standard_error


def l1_distance(generated: Tensor, truth: Tensor) -> float:
    """Mean absolute difference of uint8 pictures, in the networks' range [-1, 1]: 0 to 2, 2 / 255 a level."""
    return l1_estimate(generated, truth).value


def psnr(generated: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio of uint8 pictures, 10 log10(255^2 / mean squared difference over all), in dB."""
    return psnr_estimate(generated, truth).value


def l1_estimate(generated: Tensor, truth: Tensor) -> Estimate:
    """`l1_distance` with its standard error over pictures."""
    each = (generated.double() - truth.double()).abs().flatten(1).mean(1) * 2 / 255
    return Estimate(float(each.mean()), standard_error(each))


def psnr_estimate(generated: Tensor, truth: Tensor) -> Estimate:
    """`psnr` with its standard error over pictures: 10 / ln 10 times the relative one of the squared difference."""
    each = (generated.double() - truth.double()).square().flatten(1).mean(1)
    squared = float(each.mean())
    if not squared:
        return Estimate(math.inf, None)
    return Estimate(10 * math.log10(255**2 / squared), 10 / math.log(10) * standard_error(each) / squared)
