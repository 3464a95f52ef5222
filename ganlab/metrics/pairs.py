"""How near generated pictures are to those that they should be, pixel by pixel: for models told by a picture.

Low distances are not good pictures: the average of all that could be right is the nearest, and blurred.
"""

from __future__ import annotations

import math

from torch import Tensor


def l1_distance(generated: Tensor, truth: Tensor) -> float:
    """Mean absolute difference of uint8 pictures, in the networks' range [-1, 1]: 0 to 2, 2 / 255 a level."""
    return float((generated.double() - truth.double()).abs().mean()) * 2 / 255


def psnr(generated: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio of uint8 pictures, 10 log10(255^2 / mean squared difference over all), in dB."""
    squared = float((generated.double() - truth.double()).square().mean())
    return 10 * math.log10(255**2 / squared) if squared else math.inf
