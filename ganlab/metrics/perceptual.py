"""How different two pictures look, by the feature maps of `ImageNet` at four strides; in the manner of LPIPS.

As in Zhang et al. 2018, eq. 1, without their learned weights of channels: nobody's judgements went into it, and its
values are not LPIPS values.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.metrics.frechet import Estimate
from ganlab.metrics.imagenet import ImageNet
from ganlab.metrics.lpips import random_pairs
from ganlab.metrics.spread import standard_error


def embedding(network: ImageNet, images: Tensor) -> Tensor:
    """uint8 pictures (N, C, H, W) -> (N, 47104), whose squared Euclidean distances are the perceptual distances.

    Each stage's vectors of channels have unit length at every position, divided by the root of positions x stages.
    """
    device = next(network.parameters()).device
    parts = [network.prepare(part.to(device)) for part in torch.split(images, network.batch)]
    return torch.cat([_embedding(network.stages(part)) for part in parts])


def _embedding(maps: list[Tensor]) -> Tensor:
    scaled = [F.normalize(x, dim=1) / (len(maps) * x.shape[2] * x.shape[3]) ** 0.5 for x in maps]
    return torch.cat([x.flatten(1) for x in scaled], 1)


@torch.no_grad()
def perceptual_distance(network: ImageNet, first: Tensor, second: Tensor) -> Tensor:
    """Return the distance (N,) of each picture of `first` to that of `second`: 0 for the same, at most 4.

    |u - v|^2 of unit vectors u, v at the same place; mean over places, then over the strides 4, 8, 16 and 32.
    """
    pairs = zip(*(torch.split(images, network.batch) for images in (first, second)), strict=True)
    return torch.cat([_squared(embedding(network, a), embedding(network, b)) for a, b in pairs])


def _squared(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).square().sum(1).cpu()


def pairwise_perceptual(embedded: Tensor, pairs: int = 1000, generator: torch.Generator | None = None) -> Estimate:
    """Return the mean distance of random pairs of `embedding` rows (N, D), with its standard error.

    0 for copies. Compare it with that of real pictures. Blind to missing classes.
    """
    chosen = torch.split(random_pairs(len(embedded), pairs, generator), 100)
    values = torch.cat([_squared(embedded[part[:, 0]], embedded[part[:, 1]]) for part in chosen])
    return Estimate(float(values.mean()), standard_error(values))
