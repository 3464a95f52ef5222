"""Perceptual distance between two pictures, by the feature maps of `ImageNet` at four strides.

It is eq. 1 of Zhang et al. 2018 without their learned weights of channels. No human judgement went into it, and its
values are not LPIPS values.
"""

from __future__ import annotations

from abc import ABC
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.metrics.extractors import extractor_named
from ganlab.metrics.imagenet import ImageNet
from ganlab.metrics.lpips import PAIRS, random_pairs
from ganlab.metrics.metric import HIGHER, LOWER, PICTURES, Result, SampleMetric, Samples, Target
from ganlab.metrics.needs import TRUE_PICTURES
from ganlab.metrics.spread import Estimate, mean_estimate


def perceptual_network() -> ImageNet:
    """Return the network, loaded once a process."""
    network = extractor_named("imagenet")
    assert isinstance(network, ImageNet)
    return network


def embedding(network: ImageNet, images: Tensor) -> Tensor:
    """Map uint8 pictures (N, C, H, W) to vectors (N, 47104) whose squared distances are the perceptual ones.

    Each stage's vectors of channels have unit length at every position, divided by the root of positions x stages.
    """
    device = next(network.parameters()).device
    parts = [network.prepare(part.to(device)) for part in torch.split(images, network.batch)]
    return torch.cat([_embedding(network.stages(part)) for part in parts])


def embedding_with_grad(network: ImageNet, images: Tensor) -> Tensor:
    """Map pictures (N, 1 or 3, H, W) in [-1, 1] to vectors as `embedding` does, with gradients, in one batch."""
    levels = (images + 1) * 127.5
    return _embedding(network.stages(network.resizer(levels.expand(-1, 3, -1, -1))))


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

    0 for copies. Compare it with that of real pictures. It does not see missing classes.
    """
    chosen = torch.split(random_pairs(len(embedded), pairs, generator), 100)
    return mean_estimate(torch.cat([_squared(embedded[part[:, 0]], embedded[part[:, 1]]) for part in chosen]))


class PerceptualMetric(SampleMetric, ABC):
    """A metric of perceptual distances, whose name carries the network."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.network = perceptual_network()

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self.network.to(device)

    def stamp(self, number: str) -> dict[str, Any]:
        """Return the network's protocol, the number of samples and the seed."""
        return {**self.network.protocol, "fakes": len(self.rows.places), **super().stamp(number)}

    @classmethod
    def label(cls, target: Target, number: str) -> str:
        """Return the number's name with the network's."""
        return perceptual_network().metric(number)


class PerceptualDiversity(PerceptualMetric):
    """Mean perceptual distance of random pairs of samples: how different they look; needs no download."""

    name = "perceptual_diversity"
    better = HIGHER
    needs = (PICTURES,)
    most = 1000  # 190 kB each

    @torch.no_grad()
    def look(self, samples: Samples) -> Tensor:
        """Keep the embeddings (N, 47104)."""
        return embedding(self.network, samples.images)

    def compute(self) -> Result:
        """Return the mean of `PAIRS` pairs with its standard error."""
        random = torch.Generator().manual_seed(self.target.seed)
        return Result.of(pairwise_perceptual(self.rows.values, PAIRS, random), pairs=PAIRS)


class Perceptual(PerceptualMetric):
    """Mean perceptual distance between each sample and the picture that it should be."""

    name = "perceptual"
    better = LOWER
    needs = (TRUE_PICTURES,)
    standard = True

    def look(self, samples: Samples) -> Tensor:
        """Keep the distances (N,)."""
        return perceptual_distance(self.network, samples.images, self.target.truth(samples.places))

    def compute(self) -> Result:
        """Return the mean with its standard error."""
        return Result.mean(self.rows.values)
