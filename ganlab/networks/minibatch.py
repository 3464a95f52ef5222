"""A discriminator feature that measures the variation of samples in a batch. Plain PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import UserError
from ganlab.networks.scales import feature_scales

EPSILON = 1e-8  # within the root, whose own gradient is infinite at zero (Karras et al. 2018)


def deviation(features: Tensor, group: int) -> Tensor:
    """Return the standard deviation over each group, averaged over features and pixels: (N, F, s, s) -> (N / group,).

    Group i holds the samples i, i + N / group, i + 2 N / group, ..., as in the paper's code.
    """
    groups = features.to(torch.promote_types(features.dtype, torch.float32)).unflatten(0, (group, -1))
    return (groups.var(0, correction=0) + EPSILON).sqrt().flatten(1).mean(1)


def largest_divisor(number: int, limit: int) -> int:
    """Return the largest divisor of `number` up to `limit`.

    >>> largest_divisor(64, 4), largest_divisor(6, 4), largest_divisor(7, 4)
    (4, 3, 1)
    """
    return max(divisor for divisor in range(1, min(number, limit) + 1) if number % divisor == 0)


def spread(features: Tensor, group: int) -> Tensor:
    """Return each sample's deviation over its group as a map: (N, F, s, s) -> (N, 1, s, s)."""
    values = deviation(features, group).to(features.dtype).repeat(group)
    return values[:, None, None, None].expand(-1, 1, *features.shape[2:])


class MinibatchDeviation(nn.Module):
    """A trunk with one additional feature: the deviation of its features over a group. Karras et al. 2018, section 3.

    (N, ...) -> (N, F + 1, s, s). A trunk of several scales gets one at each. group: the number of samples in a group.
    If it does not divide N, the largest divisor of N below it is used. For a prime N over `group` that is 1, and the
    feature is constant.
    """

    def __init__(self, trunk: Any, group: int = 4) -> None:
        super().__init__()
        if group < 2:
            raise UserError(f"`minibatch_deviation` must be a group of at least 2 samples, or 0 for none, got {group}")
        self.trunk = trunk
        self.group = group
        features, height, width = trunk.feature_shape
        self.feature_scales = feature_scales(trunk)
        self.feature_shape = (features + self.feature_scales, height, width)

    def forward(self, images: Tensor) -> Tensor:
        """Return the trunk's features with the deviation beside them."""
        features = self.trunk(images)
        group = largest_divisor(len(features), self.group)
        parts = features.chunk(self.feature_scales, 1)
        return torch.cat([part for scale in parts for part in (scale, spread(scale, group))], 1)
